// Who is in charge of a store that moves to etcd? One key, `life`, says so. It is written last, in a transaction that needs the
// record of the move; whoever cannot know whether that was done takes the record away, which only one of the two can do.

import type { Random } from '#core/random';
import { storeErrors } from '../errors.ts';
import { calls } from '../etcd/calls.ts';
import { defaultPrefix, keySpace } from '../etcd/decide/keys.ts';
import type { EtcdClient } from '../etcd/etcd-client.ts';
import { type LifeRecord, readLife } from '../etcd/life.ts';
import { decode, encode, type RangeAnswer, type TxnAnswer } from '../etcd/messages.ts';

/** In etcd while a copy is made. */
export interface MoveRecord {
  /** Names this attempt. */
  token: string;
  /** Of the store once it is there. */
  incarnation: string;
}

const space = keySpace(defaultPrefix);
const absent = (name: string) => ({
  key: encode(name),
  target: 'CREATE' as const,
  result: 'EQUAL' as const,
  create_revision: '0',
});

/** Says in an etcd without a store that one is copied into it. store.moved when there is a store already. */
export async function beginCopy(client: EtcdClient, record: MoveRecord): Promise<void> {
  const put = { key: encode(space.move), value: encode(JSON.stringify(record)) };
  const { succeeded } = await client.call<TxnAnswer>(
    calls.txn,
    { compare: [absent(space.life)], success: [{ request_put: put }] },
    { what: 'begin the copy of the store', isRepeatable: true },
  );
  if (!succeeded) throw storeErrors.moved('this etcd holds a store already: it is in charge');
}

/**
 * The commit that decides: from now on etcd is in charge. False when the move was given up. Any error but store.unavailable
 * leaves it unknown: `giveUp` says.
 */
export async function decide(
  client: EtcdClient,
  { token, incarnation }: MoveRecord,
  base: number,
): Promise<boolean> {
  const key = encode(space.move);
  const what = 'hand the store over to etcd';
  const found = await client.call<RangeAnswer>(calls.range, { key }, { what, isRepeatable: true });
  const [kv] = found.kvs ?? [];
  if (!kv || (JSON.parse(decode(kv.value)) as MoveRecord).token !== token) return false;
  const life: LifeRecord = { incarnation, clusterId: found.header.cluster_id, base };
  const isOurs = {
    key,
    target: 'MOD' as const,
    result: 'EQUAL' as const,
    mod_revision: kv.mod_revision,
  };
  const put = { key: encode(space.life), value: encode(JSON.stringify(life)) };
  const { succeeded } = await client.call<TxnAnswer>(
    calls.txn,
    { compare: [absent(space.life), isOurs], success: [{ request_put: put }] },
    { what, isRepeatable: false },
  );
  return succeeded ?? false;
}

/** Makes sure that the move is never decided, unless it was: then the incarnation that is in charge. */
export async function giveUp(client: EtcdClient, random: Random): Promise<string | undefined> {
  const { succeeded } = await client.call<TxnAnswer>(
    calls.txn,
    {
      compare: [absent(space.life)],
      success: [{ request_delete_range: { key: encode(space.move) } }],
    },
    { what: 'ask etcd whether the store is there', isRepeatable: true },
  );
  if (succeeded) return undefined;
  return (await readLife({ client, space, random, begins: false })).incarnation;
}

/** The incarnation of the store in this etcd; undefined when it says that there is none. Fails when it does not say. */
export async function findStore(client: EtcdClient, random: Random): Promise<string | undefined> {
  const options = { what: 'ask etcd whether the store is there', isRepeatable: true };
  const key = encode(space.life);
  const { kvs = [] } = await client.call<RangeAnswer>(calls.range, { key }, options);
  if (kvs.length === 0) return undefined;
  return (await readLife({ client, space, random, begins: false })).incarnation;
}
