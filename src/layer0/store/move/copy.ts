// Copies a store that is held into an etcd that has none: all entries but claims of elections, which are campaigned for anew.
// A lease keeps its name and gets its full time again; what hangs on one is copied last, so that it does not end meanwhile.

import { hasCode } from '#core/errors';
import type { Store } from '../client.ts';
import { electionPrefix } from '../election.ts';
import { storeErrors } from '../errors.ts';
import { calls } from '../etcd/calls.ts';
import {
  decodeEntryText,
  defaultPrefix,
  encodeKey,
  keySpace,
  leaseNumber,
  rangeOf,
} from '../etcd/decide/keys.ts';
import type { EtcdClient } from '../etcd/etcd-client.ts';
import { encode, type RangeAnswer, type TxnAnswer } from '../etcd/messages.ts';
import type { LeaseRecord } from '../ledger.ts';
import { listAll, listPages } from '../list-all.ts';
import { type Entry, maxTxnOperations } from '../wire.ts';

const space = keySpace(defaultPrefix);
/** Of values in one transaction. */
const batchBytes = 512 * 1024;

export interface Copied {
  source: Pick<Store, 'list'>;
  leases: readonly LeaseRecord[];
  /** Throws when it has taken too long. */
  checkTime(): void;
}

/** Into an empty etcd; the number of entries there. store.unavailable when what is there is not what was copied. */
export async function copyInto(
  client: EtcdClient,
  { source, leases, checkTime }: Copied,
): Promise<number> {
  const leased: Entry[] = [];
  let count = 0;
  for await (const { entries } of listPages(source, '')) {
    checkTime();
    const moved = entries.filter(({ key }) => !key.startsWith(electionPrefix));
    leased.push(...moved.filter(({ lease }) => lease !== undefined));
    await putAll(
      client,
      moved.filter(({ lease }) => lease === undefined),
    );
    count += moved.length;
  }
  for (const lease of leases) await grant(client, lease);
  checkTime();
  await putAll(client, leased);
  await verify(client, source, count);
  return count;
}

async function grant(client: EtcdClient, { id, ttlMs }: LeaseRecord): Promise<void> {
  const body = { ID: leaseNumber(id), TTL: String(Math.ceil(ttlMs / 1000)) };
  const options = { what: 'copy the leases of the store', isRepeatable: false };
  try {
    await client.call(calls.grantLease, body, options);
  } catch (error) {
    // Its answer was lost the first time.
    if (!hasCode(error, 'store.invalid')) throw error;
  }
}

async function putAll(client: EtcdClient, entries: readonly Entry[]): Promise<void> {
  let batch: Entry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    batch.push(entry);
    bytes += JSON.stringify(entry.value).length;
    if (batch.length < maxTxnOperations && bytes < batchBytes) continue;
    await put(client, batch);
    [batch, bytes] = [[], 0];
  }
  if (batch.length > 0) await put(client, batch);
}

async function put(client: EtcdClient, entries: readonly Entry[]): Promise<void> {
  const success = entries.map(({ key, value, lease }) => ({
    request_put: {
      key: encodeKey(space, key),
      value: encode(JSON.stringify(value)),
      ...(lease === undefined ? {} : { lease: leaseNumber(lease) }),
    },
  }));
  const options = { what: 'copy the store', isRepeatable: true };
  await client.call<TxnAnswer>(calls.txn, { compare: [], success }, options);
}

/** Reads all of it back: a copy that lacks something, or has more, is never put in charge. */
async function verify(
  client: EtcdClient,
  source: Pick<Store, 'list'>,
  count: number,
): Promise<void> {
  const wanted = new Map(
    (await listAll(source, ''))
      .filter(({ key }) => !key.startsWith(electionPrefix))
      .map(({ key, value }) => [key, JSON.stringify(value)]),
  );
  let after: string | undefined;
  let seen = 0;
  do {
    const page = { prefix: '', limit: 500, ...(after === undefined ? {} : { after }) };
    const answer = await client.call<RangeAnswer>(calls.range, rangeOf(space, page), {
      what: 'read the copy of the store back',
      isRepeatable: true,
    });
    const texts = (answer.kvs ?? []).map((kv) => decodeEntryText(space, kv));
    for (const { key, text } of texts)
      if (wanted.get(key) !== text) throw differs(`${key} is not what it was`);
    seen += texts.length;
    after = answer.more ? texts.at(-1)?.key : undefined;
  } while (after !== undefined);
  if (seen !== count) throw differs(`${seen} entries of ${count} are there`);
}

function differs(how: string): Error {
  return storeErrors.unavailable(
    `the copy of the store in etcd is not whole: ${how}. The embedded store stays in charge; do it again`,
  );
}
