// What did a list look like at an older revision? The present entries, with later commits taken back.

import type { Commit } from '../ledger.ts';
import type { Entry, Revision, Snapshot } from '../wire.ts';

/** Per key that changed since, what it was then: the first `before` of the commits, which are oldest first. */
export function touchedSince(
  commits: Commit[],
  { prefix, after }: { prefix: string; after?: string },
): Map<string, Entry | undefined> {
  const touched = new Map<string, Entry | undefined>();
  for (const { changes } of commits) {
    for (const { key, before } of changes) {
      const isInRange = key.startsWith(prefix) && (after === undefined || key > after);
      if (isInRange && !touched.has(key)) touched.set(key, before);
    }
  }
  return touched;
}

export function rewind(entries: Entry[], touched: Map<string, Entry | undefined>): Entry[] {
  const untouched = entries.filter(({ key }) => !touched.has(key));
  const restored = [...touched.values()].filter((entry) => entry !== undefined);
  return [...untouched, ...restored].sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Cuts a sorted list that holds one entry more than the limit where there are more. */
export function pageOf(entries: Entry[], revision: Revision, limit?: number): Snapshot {
  if (limit === undefined || entries.length <= limit) return { entries, revision };
  const page = entries.slice(0, limit);
  const next = page.at(-1)?.key;
  return next === undefined ? { entries: page, revision } : { entries: page, revision, next };
}
