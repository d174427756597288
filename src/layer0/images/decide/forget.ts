// Which images may a registry forget? Pure. What nothing names, and what has been there long enough for the release that was to
// name it.

export interface ForgetInput {
  /** Ids that the registry holds. */
  held: Iterable<string>;
  needed: ReadonlySet<string>;
  /** When this process first saw each there, by the monotonic clock. */
  firstSeenMs: ReadonlyMap<string, number>;
  nowMs: number;
  minAgeMs: number;
}

export function imagesToForget(input: ForgetInput): string[] {
  const { held, needed, firstSeenMs, nowMs, minAgeMs } = input;
  const isOld = (id: string) => nowMs - (firstSeenMs.get(id) ?? nowMs) >= minAgeMs;
  return [...held].filter((id) => !needed.has(id) && isOld(id));
}
