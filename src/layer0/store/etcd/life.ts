// Which life of the store is in this etcd cluster? One key says so. It names the cluster it was written in: a snapshot that
// was restored brings the key along into another cluster, and begins another life there.

import { newId } from '#core/ids';
import type { Random } from '#core/random';
import { storeErrors } from '../errors.ts';
import { calls } from './calls.ts';
import { type KeySpace, keySpace } from './decide/keys.ts';
import type { Guard } from './decide/translate-txn.ts';
import type { EtcdClient } from './etcd-client.ts';
import { decode, encode, type KeyValue, type RangeAnswer, type TxnAnswer } from './messages.ts';

export interface LifeRecord {
  incarnation: string;
  clusterId: string;
  /** What this store's revisions are ahead of etcd's; absent for a store that began here. */
  base?: number;
  /** Where its entries are, when they took the place of others. */
  generation?: string;
}

export interface Life extends LifeRecord {
  /** As it is stored: what comes after it has the same base and the same entries. */
  record: LifeRecord;
  guard: Guard;
  /** Of this life's entries. */
  space: KeySpace;
}

/** Attempts against others who open the same store at the same moment. */
const maxAttempts = 10;

export interface LifeAccess {
  client: EtcdClient;
  space: KeySpace;
  random: Random;
  /** False: a store must be there already; store.unavailable where none ever was. */
  begins: boolean;
}

/** Reads the store's life, or begins it where there is none of this cluster. */
export async function readLife({ client, space, random, begins }: LifeAccess): Promise<Life> {
  const key = encode(space.life);
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const what = 'open the store';
    const found = await client.call<RangeAnswer>(
      calls.range,
      { key },
      { what, isRepeatable: true },
    );
    const kv = found.kvs?.[0];
    const clusterId = found.header.cluster_id;
    const life = kv && lifeOf(space, kv);
    if (life?.clusterId === clusterId) return life;
    if (!life && !begins)
      throw storeErrors.unavailable('open the store: this etcd holds none, or not yet');
    const record: LifeRecord = { ...life?.record, incarnation: newIncarnation(random), clusterId };
    const mod_revision = kv?.mod_revision ?? '0';
    await client.call<TxnAnswer>(
      calls.txn,
      {
        compare: [{ key, target: 'MOD', result: 'EQUAL', mod_revision }],
        success: [{ request_put: { key, value: encode(JSON.stringify(record)) } }],
      },
      { what: 'begin the life of the store', isRepeatable: true },
    );
  }
  throw storeErrors.unavailable(`open the store: others began its life ${maxAttempts} times over`);
}

function lifeOf(space: KeySpace, { value, mod_revision: modRevision }: KeyValue): Life {
  const record = JSON.parse(decode(value)) as LifeRecord;
  return {
    ...record,
    record,
    guard: { key: space.life, modRevision },
    space: keySpace(space.prefix, record),
  };
}

export function newIncarnation(random: Random): string {
  return newId(
    'inc',
    Uint8Array.from({ length: 16 }, () => random() * 256),
  );
}
