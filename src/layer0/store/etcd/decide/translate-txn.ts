// Our transaction as one of etcd's. All compares are etcd's own; when one fails, what was compared is read in a second
// transaction, so that the failed ones are named as of one revision. Deep equality is no compare of etcd: a value is
// compared through the number of the commit that last changed it, as `seen` before.

import type { CheckedOperation, CheckedTxn } from '../../decide/check-txn.ts';
import { holds } from '../../decide/evaluate.ts';
import type { Compare, Entry } from '../../wire.ts';
import {
  type EtcdCompare,
  type EtcdOperation,
  encode,
  type TxnAnswer,
  type TxnRequest,
} from '../messages.ts';
import { encodeKey, entryOf, type KeySpace, leaseNumber, numberOf } from './keys.ts';

/** What must hold for any write: the store is in the life that this process knows, whose key is unchanged since. */
export interface Guard {
  key: string;
  modRevision: string;
}

/** Entries by key; a key that was looked for and is absent is there with undefined. */
export type Seen = ReadonlyMap<string, Entry | undefined>;

export function translateTxn(
  space: KeySpace,
  txn: CheckedTxn,
  { guard, seen }: { guard: Guard; seen: Seen },
): TxnRequest {
  const isGuarded: EtcdCompare = {
    key: encode(guard.key),
    target: 'MOD',
    result: 'EQUAL',
    mod_revision: guard.modRevision,
  };
  return {
    compare: [isGuarded, ...txn.compare.map((compare) => translateCompare(space, compare, seen))],
    success: txn.operations.map((operation) => translateOperation(space, operation)),
  };
}

/** Reads the guard, then each compared key once. */
export function readCompared(space: KeySpace, txn: CheckedTxn, guard: Guard): TxnRequest {
  const keys = [encode(guard.key), ...comparedKeys(txn).map((key) => encodeKey(space, key))];
  return { compare: [], success: keys.map((key) => ({ request_range: { key } })) };
}

export const comparesValues = (txn: CheckedTxn): boolean =>
  txn.compare.some((compare) => 'value' in compare);

function comparedKeys(txn: CheckedTxn): string[] {
  return [...new Set(txn.compare.map(({ key }) => key))];
}

function translateCompare(space: KeySpace, compare: Compare, seen: Seen): EtcdCompare {
  const key = encodeKey(space, compare.key);
  if ('is' in compare) {
    const result = compare.is === 'absent' ? 'EQUAL' : 'GREATER';
    return { key, target: 'CREATE', result, create_revision: '0' };
  }
  if ('createRevision' in compare)
    return {
      key,
      target: 'CREATE',
      result: 'EQUAL',
      create_revision: numberOf(space, compare.createRevision),
    };
  const modRevision =
    'modRevision' in compare ? compare.modRevision : (seen.get(compare.key)?.modRevision ?? 0);
  return { key, target: 'MOD', result: 'EQUAL', mod_revision: numberOf(space, modRevision) };
}

function translateOperation(
  space: KeySpace,
  { key, text, lease }: CheckedOperation,
): EtcdOperation {
  const encoded = encodeKey(space, key);
  if (text === undefined) return { request_delete_range: { key: encoded } };
  const put = { key: encoded, value: encode(text) };
  return { request_put: lease === undefined ? put : { ...put, lease: leaseNumber(lease) } };
}

export interface ComparedState {
  isGuarded: boolean;
  seen: Seen;
  /** Indexes of the transaction's compares that do not hold in this state. */
  failed: number[];
}

/** What the reads of `readCompared` found. */
export function readState(
  space: KeySpace,
  txn: CheckedTxn,
  { guard: { modRevision }, answer }: { guard: Guard; answer: TxnAnswer },
): ComparedState {
  const responses = answer.responses ?? [];
  const [guard, ...others] = responses.map((response) => response.response_range?.kvs?.[0]);
  const seen = new Map<string, Entry | undefined>();
  comparedKeys(txn).forEach((key, index) => {
    const kv = others[index];
    seen.set(key, kv && entryOf(space, kv));
  });
  const failed: number[] = [];
  txn.compare.forEach((compare, index) => {
    if (!holds(compare, seen.get(compare.key))) failed.push(index);
  });
  return { isGuarded: guard?.mod_revision === modRevision, seen, failed };
}
