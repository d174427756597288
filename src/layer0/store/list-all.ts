// All of what is under a prefix, page by page, as of one revision.

import type { Store } from './client.ts';
import type { Entry, Snapshot } from './wire.ts';

const pageSize = 500;

/** Pages of at most 500 entries; store.compacted when the history of their revision is gone before the last one. */
export async function* listPages<T>(
  store: Pick<Store, 'list'>,
  prefix: string,
): AsyncGenerator<Snapshot<T>> {
  let page = await store.list<T>(prefix, { limit: pageSize });
  const { revision: at } = page;
  yield page;
  for (let after = page.next; after !== undefined; after = page.next) {
    page = await store.list<T>(prefix, { at, after, limit: pageSize });
    yield page;
  }
}

export async function listAll<T>(store: Pick<Store, 'list'>, prefix: string): Promise<Entry<T>[]> {
  const entries: Entry<T>[] = [];
  for await (const page of listPages<T>(store, prefix)) entries.push(...page.entries);
  return entries;
}
