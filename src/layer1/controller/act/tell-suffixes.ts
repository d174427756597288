// Tells layer 0 under which domains names lead to the router. The one writer of that key, fenced by the election.

import { type RouterSuffixes, routerSuffixesKey } from '#layer0/discovery/wire';
import type { Compare, Store } from '#layer0/store/client';
import { type Route, routePrefix } from '#layer1/router/wire';
import { routerSuffixes } from '../decide/router-suffixes.ts';

export interface SuffixDeps {
  store: Store;
  fence: Compare;
  domain: string;
}

/** Another leader's commit makes this one fail, without a change; the next collection looks again. */
export async function tellSuffixes({ store, fence, domain }: SuffixDeps): Promise<void> {
  const { entries } = await store.list<Route>(routePrefix);
  const suffixes = routerSuffixes(
    entries.map(({ value }) => value),
    domain,
  );
  const told = await store.get<RouterSuffixes>(routerSuffixesKey);
  if (told?.value.suffixes.join() === suffixes.join()) return;
  await store.txn({
    compare: [fence],
    operations: [{ put: routerSuffixesKey, value: { suffixes } }],
  });
}
