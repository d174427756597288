// How much history is kept, and when is it time to forget some?

import type { Ledger } from '../ledger.ts';

/** Commits that a watcher may be behind and still resume. */
export const keepCommits = 10_000;
/** Most bytes of history. */
export const keepBytes = 64 * 1024 * 1024;
/** Compaction runs once per this many commits, not on each. */
export const compactionSlack = 1_000;

/** The revision to forget up to, or undefined. */
export function compactTo(
  ledger: Pick<Ledger, 'historySize' | 'compactedTo' | 'revision'>,
): number | undefined {
  const { commits, bytes } = ledger.historySize();
  if (commits > keepCommits + compactionSlack) return ledger.revision() - keepCommits;
  if (bytes > keepBytes && commits > 1) return ledger.compactedTo() + Math.ceil(commits / 4);
  return undefined;
}
