// Another state in the place of the one that is there. It is written beside it first, below a name of its own; one commit
// makes it the store's. Killed before that, nothing has changed: the next one takes away what lies there. The state before
// stays until then too, because whoever follows it must not see it go.

import { type CheckedTxn, checkReplacements, checkTxn } from '../decide/check-txn.ts';
import { storeErrors } from '../errors.ts';
import type { CheckedReplacement } from '../ledger.ts';
import { type Compare, maxTxnBytes, maxTxnOperations, type Replacement } from '../wire.ts';
import { calls } from './calls.ts';
import { endOf, keySpace, leaseNumber, replacedPrefix } from './decide/keys.ts';
import { type Seen, translateTxn } from './decide/translate-txn.ts';
import type { EtcdClient } from './etcd-client.ts';
import { type Life, type LifeRecord, newIncarnation } from './life.ts';
import {
  type EtcdCompare,
  type EtcdOperation,
  encode,
  type RangeAnswer,
  type TxnAnswer,
} from './messages.ts';

/** Room for the compare and the framing of a transaction that is written beside. */
const maxBatchBytes = maxTxnBytes / 2;

export interface ReplaceRequest {
  life: Life;
  random: () => number;
  entries: readonly Replacement[];
  compare: readonly Compare[];
  /** What is compared, and which of it does not hold; undefined when the store is in another life. */
  read(txn: CheckedTxn): Promise<{ seen: Seen; result: { failed: number[] } } | undefined>;
}

/** The record of the life that begins; store.conflict when a compare does not hold, or another one came between. */
export async function replaceAll(
  client: EtcdClient,
  { life, random, entries, compare, read }: ReplaceRequest,
): Promise<LifeRecord> {
  const batches = batchesOf(checkReplacements(entries), entries);
  const txn = checkTxn({ compare: [...compare], operations: [] });
  const incarnation = newIncarnation(random);
  // A name that no other state has.
  const generation = incarnation;
  const space = keySpace(life.space.prefix, { generation });
  const claim = await claimPlace(client, life, generation);
  const put = async (what: string, success: EtcdOperation[], more: EtcdCompare[] = []) => {
    const request = { compare: [claim, ...more], success };
    const options = { what: `replace all: ${what}`, isRepeatable: what !== 'commit' };
    const answer = await client.call<TxnAnswer>(calls.txn, request, options);
    if (!answer.succeeded) throw changed();
  };
  await put('take away what an earlier one left', leftovers(life));
  for (const batch of batches)
    await put(
      'write beside',
      batch.map(({ key, text, lease }) => ({
        request_put: {
          key: encode(space.data + key),
          value: encode(text),
          ...(lease === undefined ? {} : { lease: leaseNumber(lease) }),
        },
      })),
    );
  const record: LifeRecord = { ...life.record, incarnation, generation };
  const found = await read(txn);
  if (!found || found.result.failed.length > 0) throw changed();
  const { seen } = found;
  const { compare: holds } = translateTxn(life.space, txn, { guard: life.guard, seen });
  const value = encode(JSON.stringify(record));
  await put('commit', [{ request_put: { key: encode(space.life), value } }], holds);
  return record;
}

const changed = () =>
  storeErrors.conflict('replace all: what it rests on has changed meanwhile, try again');

/** From now on this is the only one that writes beside: whoever began earlier finds its claim changed. */
async function claimPlace(
  client: EtcdClient,
  { space: { prefix } }: Life,
  generation: string,
): Promise<EtcdCompare> {
  const key = encode(`${prefix}replacing`);
  const what = 'replace all: claim the place';
  const claim = { compare: [], success: [{ request_put: { key, value: encode(generation) } }] };
  await client.call<TxnAnswer>(calls.txn, claim, { what, isRepeatable: true });
  const { kvs } = await client.call<RangeAnswer>(
    calls.range,
    { key },
    { what, isRepeatable: true },
  );
  const kv = kvs?.[0];
  if (!kv || kv.value?.toString() !== generation)
    throw storeErrors.conflict('replace all: somebody else does so at the same time, try again');
  return { key, target: 'MOD', result: 'EQUAL', mod_revision: kv.mod_revision };
}

/** Everything below our prefix that is of neither the present state. */
function leftovers({ generation, space: { prefix, data } }: Life): EtcdOperation[] {
  const states = replacedPrefix(prefix);
  const range = (from: string | Buffer, to: string | Buffer): EtcdOperation => ({
    request_delete_range: { key: Buffer.from(from), range_end: Buffer.from(to) },
  });
  if (generation === undefined) return [range(states, endOf(states))];
  const first = keySpace(prefix).data;
  return [range(first, endOf(first)), range(states, data), range(endOf(data), endOf(states))];
}

/** Entries of different orders never share a transaction: its keys would share their createRevision. */
function batchesOf(
  checked: readonly CheckedReplacement[],
  entries: readonly Replacement[],
): CheckedReplacement[][] {
  const orders = new Map(entries.map(({ key, order }) => [key, order]));
  const batches: CheckedReplacement[][] = [];
  let [bytes, order]: [number, number | undefined] = [0, undefined];
  for (const entry of checked) {
    const size = entry.key.length + Buffer.byteLength(entry.text);
    const last = batches.at(-1);
    const isFull = !last || last.length >= maxTxnOperations - 1 || bytes + size > maxBatchBytes;
    if (isFull || order !== orders.get(entry.key)) {
      batches.push([entry]);
      [bytes, order] = [size, orders.get(entry.key)];
    } else {
      last.push(entry);
      bytes += size;
    }
  }
  return batches;
}
