// What does a transaction do to this state? Compares in, changes out; nothing is written here.

import { storeErrors } from '../errors.ts';
import type { Change } from '../ledger.ts';
import type { Compare, Entry } from '../wire.ts';
import type { CheckedOperation, CheckedTxn } from './check-txn.ts';

export interface StateView {
  read(key: string): Entry | undefined;
  hasLease(id: string): boolean;
}

export interface Verdict {
  /** Indexes into `compare` that did not hold; empty means that `changes` may be committed. */
  failed: number[];
  changes: Change[];
  /** The new value of each change as JSON, where it has one. */
  texts: (string | undefined)[];
}

/** `revision` is the number that the commit will get if it changes anything. */
export function evaluate(txn: CheckedTxn, view: StateView, revision: number): Verdict {
  const failed: number[] = [];
  txn.compare.forEach((compare, index) => {
    if (!holds(compare, view.read(compare.key))) failed.push(index);
  });
  if (failed.length > 0) return { failed, changes: [], texts: [] };
  const changes: Change[] = [];
  const texts: (string | undefined)[] = [];
  for (const operation of txn.operations) {
    const change = changeOf(operation, view, revision);
    if (!change) continue;
    changes.push(change);
    texts.push(operation.text);
  }
  return { failed, changes, texts };
}

/** An absent key has the revision 0. */
export function holds(compare: Compare, entry: Entry | undefined): boolean {
  if ('is' in compare) return compare.is === (entry ? 'present' : 'absent');
  if ('modRevision' in compare) return (entry?.modRevision ?? 0) === compare.modRevision;
  if ('createRevision' in compare) return (entry?.createRevision ?? 0) === compare.createRevision;
  return entry !== undefined && isSameJson(entry.value, compare.value);
}

function changeOf(
  operation: CheckedOperation,
  view: StateView,
  revision: number,
): Change | undefined {
  const { key, text, lease } = operation;
  const before = view.read(key);
  if (text === undefined) return before && { key, before };
  if (lease !== undefined && !view.hasLease(lease))
    throw storeErrors.leaseNotFound(`put ${key}: the lease ${lease} has ended, grant a new one`);
  const after: Entry = {
    key,
    value: frozen(JSON.parse(text)),
    createRevision: before?.createRevision ?? revision,
    modRevision: revision,
    ...(lease === undefined ? {} : { lease }),
  };
  return before ? { key, before, after } : { key, after };
}

/** Deep equality of JSON values: the order of an object's fields means nothing. */
export function isSameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  return keys.every((key) => Object.hasOwn(right, key) && isSameJson(left[key], right[key]));
}

/** Readers share one copy, so nobody may change it. */
export function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}
