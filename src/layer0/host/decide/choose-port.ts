// Which loopback port a process gets: the first free one after the last one given, round and round.

export interface PortQuestion {
  min: number;
  max: number;
  taken: ReadonlySet<number>;
  /** Given last; a port that was freed rests as long as possible. */
  last: number;
}

export function choosePort({ min, max, taken, last }: PortQuestion): number | undefined {
  const count = max - min + 1;
  const from = last < min || last >= max ? min : last + 1;
  for (let offset = 0; offset < count; offset++) {
    const port = min + ((from - min + offset) % count);
    if (!taken.has(port)) return port;
  }
  return undefined;
}
