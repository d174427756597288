// What belongs to two now, out of the records. Lists are read one after the other: only what is found twice counts.

import { listAll, type Store } from '#layer0/store/client';
import { findDoubles, type Holdings } from './decide/doubles.ts';
import {
  type Address,
  type AppNetwork,
  addressPrefix,
  appNetworkPrefix,
  type JobAddress,
  jobAddressPrefix,
} from './wire.ts';

/** Sentences for `gantry doctor`; none when all is well. */
export async function readDoubles(
  store: Pick<Store, 'list'>,
  running: Holdings['running'],
): Promise<string[]> {
  const first = await lookOnce(store, running);
  if (first.length === 0) return [];
  const second = new Set(await lookOnce(store, running));
  return first.filter((one) => second.has(one));
}

async function lookOnce(store: Pick<Store, 'list'>, running: Holdings['running']) {
  const [networks, addresses, jobs] = await Promise.all([
    listAll<AppNetwork>(store, appNetworkPrefix),
    listAll<Address>(store, addressPrefix),
    listAll<JobAddress>(store, jobAddressPrefix),
  ]);
  return findDoubles({
    networks: networks.map(({ value }) => value),
    addresses: addresses.map(({ value }) => value),
    jobs: new Map(jobs.map(({ key, value }) => [key.slice(jobAddressPrefix.length), value])),
    running,
  });
}
