// Is this transaction one that the store takes at all? Shape and limits only: nothing is read.

import { storeErrors } from '../errors.ts';
import type { CheckedReplacement } from '../ledger.ts';
import {
  maxKeyBytes,
  maxLeaseMs,
  maxReplaceBytes,
  maxTxnBytes,
  maxTxnOperations,
  minLeaseMs,
  type Operation,
  type Replacement,
  type Txn,
} from '../wire.ts';

/** Printable ASCII without space, quote or backslash, so that byte order and string order are one. */
const keyShape = /^[!#-.0-[\]-~]+(\/[!#-.0-[\]-~]+)*$/;

/** An operation with its value as the text that is stored. */
export interface CheckedOperation {
  key: string;
  /** Absent for a delete. */
  text?: string;
  lease?: string;
}

export interface CheckedTxn {
  compare: Txn['compare'];
  operations: CheckedOperation[];
  incarnation?: string;
  /** Keys and values, bytes. */
  bytes: number;
}

export function checkKey(key: unknown): void {
  if (typeof key !== 'string' || key.length > maxKeyBytes || !keyShape.test(key)) {
    const shown = typeof key === 'string' ? JSON.stringify(key.slice(0, 80)) : typeof key;
    throw storeErrors.invalidKey(
      `${shown} is no key: use printable ASCII segments joined by single slashes, ${maxKeyBytes} bytes at most`,
    );
  }
}

/** A prefix may end anywhere, also in the middle of a segment. */
export function checkPrefix(prefix: unknown): void {
  const isShaped = typeof prefix === 'string' && prefix.length <= maxKeyBytes;
  if (!isShaped || !(prefix === '' || keyShape.test(prefix.replace(/\/$/, ''))))
    throw storeErrors.invalidKey(
      `${JSON.stringify(prefix)?.slice(0, 80)} is no prefix: it is the beginning of a key`,
    );
}

export function checkTtl(ttlMs: number): void {
  if (!Number.isInteger(ttlMs) || ttlMs < minLeaseMs || ttlMs > maxLeaseMs)
    throw storeErrors.invalid(
      `a lease of ${ttlMs} ms was asked for: it lasts a whole number from ${minLeaseMs} to ${maxLeaseMs} ms`,
    );
}

export function checkTxn(txn: Txn): CheckedTxn {
  const count = txn.compare.length + txn.operations.length;
  if (count > maxTxnOperations)
    throw storeErrors.tooLarge(
      `the transaction has ${count} compares and operations, ${maxTxnOperations} are allowed: split it`,
    );
  const seen = new Set<string>();
  let bytes = 0;
  for (const compare of txn.compare) {
    checkKey(compare.key);
    bytes += compare.key.length;
    if ('value' in compare) bytes += Buffer.byteLength(textOf(compare.value, compare.key));
  }
  const operations = txn.operations.map((operation) => {
    const checked = checkOperation(operation);
    if (seen.has(checked.key))
      throw storeErrors.invalid(`the transaction writes ${checked.key} twice: write it once`);
    seen.add(checked.key);
    bytes += checked.key.length + Buffer.byteLength(checked.text ?? '');
    return checked;
  });
  if (bytes > maxTxnBytes)
    throw storeErrors.tooLarge(
      `the transaction has ${bytes} bytes of keys and values, ${maxTxnBytes} are allowed: split it`,
    );
  const { compare, incarnation } = txn;
  return { compare, operations, bytes, ...(incarnation === undefined ? {} : { incarnation }) };
}

/** Sorted by their order. Keys once each, values that are JSON, all of it not too large. */
export function checkReplacements(entries: readonly Replacement[]): CheckedReplacement[] {
  const seen = new Set<string>();
  let bytes = 0;
  const sorted = [...entries].sort((a, b) => a.order - b.order);
  return sorted.map(({ key, value, lease }) => {
    checkKey(key);
    if (seen.has(key)) throw storeErrors.invalid(`the new state has ${key} twice`);
    seen.add(key);
    const text = textOf(value, key);
    bytes += key.length + Buffer.byteLength(text);
    if (bytes > maxReplaceBytes)
      throw storeErrors.tooLarge(
        `the new state has more than ${maxReplaceBytes} bytes of keys and values`,
      );
    return lease === undefined ? { key, text } : { key, text, lease };
  });
}

function checkOperation(operation: Operation): CheckedOperation {
  if ('delete' in operation) {
    checkKey(operation.delete);
    return { key: operation.delete };
  }
  checkKey(operation.put);
  const checked = { key: operation.put, text: textOf(operation.value, operation.put) };
  return operation.lease === undefined ? checked : { ...checked, lease: operation.lease };
}

function textOf(value: unknown, key: string): string {
  const text: string | undefined = JSON.stringify(value);
  if (text === undefined)
    throw storeErrors.invalid(`the value of ${key} is not JSON: it is ${typeof value}`);
  return text;
}
