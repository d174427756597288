// What to write so that the store holds exactly what this process wants to be known for.

import { isDeepStrictEqual } from 'node:util';
import type { Operation } from '#layer0/store/wire';

/** A key as this process last wrote it. */
export interface Published {
  value: unknown;
  lease: string;
  /** Of the commit. */
  revision: number;
}

export interface PublishState {
  wanted: ReadonlyMap<string, unknown>;
  published: ReadonlyMap<string, Published>;
  lease: string;
}

/** Puts for what is missing, changed or under an older lease; deletes for what is not wanted any more. */
export function decidePublish({ wanted, published, lease }: PublishState): Operation[] {
  const operations: Operation[] = [];
  for (const [key, value] of wanted) {
    const there = published.get(key);
    if (there?.lease !== lease || !isDeepStrictEqual(there.value, value))
      operations.push({ put: key, value, lease });
  }
  for (const key of published.keys()) if (!wanted.has(key)) operations.push({ delete: key });
  return operations;
}
