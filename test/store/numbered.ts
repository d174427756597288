// The values that the durability proofs write: recognisable, of many sizes.

export function numbered(number: number): string {
  return `${number}:`.padEnd(100 + ((number * 7_919) % 24_000), String(number % 10));
}

/** What is wrong with the entries, given the numbers whose commit was acknowledged; undefined when nothing is. */
export function lossOf(
  entries: ReadonlyMap<string, unknown>,
  acknowledged: Iterable<number>,
): string | undefined {
  for (const number of acknowledged) {
    const value = entries.get(`k/${number}`);
    if (value === undefined) return `commit ${number} was acknowledged and is gone`;
  }
  for (const [key, value] of entries)
    if (value !== numbered(Number(key.slice(2)))) return `${key} holds a value nobody wrote`;
  return undefined;
}
