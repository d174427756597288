// What did the person mean? The known word with the fewest slips of the finger between it and the typed one.

/** Most slips that still count as the same word, by its length. */
const maxSlips = (length: number) => (length < 4 ? 1 : length < 8 ? 2 : 3);

export function nearest(typed: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestSlips = maxSlips(typed.length) + 1;
  for (const word of known) {
    const slips = countSlips(typed, word);
    if (slips >= bestSlips) continue;
    best = word;
    bestSlips = slips;
  }
  return best;
}

/** Letters added, left out, replaced or swapped with their neighbour. */
function countSlips(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      const isSwapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
        isSwapped ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length] ?? 0;
}
