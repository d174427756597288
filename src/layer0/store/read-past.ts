// A range as it was at an older revision that the history still reaches.

import { rewind, touchedSince } from './decide/rewind.ts';
import type { Ledger, ReadRange } from './ledger.ts';
import type { Entry } from './wire.ts';

/** One entry more than the limit, where there are more. */
export function readPast(
  ledger: Ledger,
  range: Omit<ReadRange, 'limit'>,
  { revision, limit }: { revision: number; limit: number | undefined },
): Entry[] {
  const touched = touchedSince(ledger.commitsAfter(revision, Number.MAX_SAFE_INTEGER), range);
  const most = limit === undefined ? {} : { limit: limit + 1 + touched.size };
  return rewind(ledger.readRange({ ...range, ...most }), touched);
}
