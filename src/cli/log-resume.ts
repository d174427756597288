// How far a log was read, job by job, so that a reader who comes back shows no line twice.

/** What of a line says where it is; jobs are read side by side and each has its own order. */
export interface Position {
  job: string;
  stream: string;
  time: string;
}

export class LogResume {
  readonly #seen = new Map<string, { time: string; count: number }>();
  /** While lines come again that were shown: how many of the last time came again. */
  #replayed: Map<string, number> | undefined;

  /** From now on lines may come again. */
  reopen(): void {
    this.#replayed = new Map();
  }

  /** Whether the line is to be shown; a line that was shown before is not. */
  take({ job, stream, time }: Position): boolean {
    const key = `${job} ${stream}`;
    const at = comparable(time);
    const last = this.#seen.get(key);
    if (last && at < last.time) return this.#replayed === undefined;
    if (last && at === last.time) {
      const again = (this.#replayed?.get(key) ?? 0) + 1;
      this.#replayed?.set(key, again);
      if (this.#replayed && again <= last.count) return false;
      last.count++;
      return true;
    }
    this.#seen.set(key, { time: at, count: 1 });
    this.#replayed?.delete(key);
    return true;
  }
}

/** Engines leave out trailing zeros of the nanoseconds, which would sort `.12Z` after `.123Z`. */
function comparable(time: string): string {
  const [whole = '', fraction = ''] = time.replace(/Z$/, '').split('.');
  return `${whole}.${fraction.padEnd(9, '0')}`;
}
