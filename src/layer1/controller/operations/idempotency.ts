// A create that is sent twice makes one thing: the key, who sent it and what it asked for are written with the thing itself.

import { createHash } from 'node:crypto';
import type { Compare, Operation, Store } from '#layer0/store/client';
import { controllerErrors } from '../errors.ts';
import { type Idempotent, idempotencyKey } from '../wire.ts';

export interface IdempotencyKey {
  /** Of the store. */
  key: string;
  fingerprint: string;
}

interface KeyedRequest {
  caller: string;
  /** The header; absent: no idempotency. */
  header: string | undefined;
  method: string;
  path: string;
  body: unknown;
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export function idempotencyOf(request: KeyedRequest): IdempotencyKey | undefined {
  const { caller, header, method, path, body } = request;
  if (header === undefined) return undefined;
  return {
    key: idempotencyKey(sha256(`${caller}\n${header}`)),
    fingerprint: sha256(`${method} ${path}\n${JSON.stringify(body ?? null)}`),
  };
}

/** What an earlier request with this key made; undefined when it is the first. */
export async function findMade(
  store: Store,
  idempotency: IdempotencyKey | undefined,
): Promise<Idempotent | undefined> {
  if (!idempotency) return undefined;
  const made = (await store.get<Idempotent>(idempotency.key))?.value;
  if (made && made.fingerprint !== idempotency.fingerprint)
    throw controllerErrors.idempotencyMismatch(
      'this Idempotency-Key was used for another request; use a new key for a new request',
    );
  return made;
}

/** For the transaction that makes the thing. */
export function claimKey(
  idempotency: IdempotencyKey | undefined,
  made: Omit<Idempotent, 'fingerprint'>,
): { compare: Compare[]; operations: Operation[] } {
  if (!idempotency) return { compare: [], operations: [] };
  const { key, fingerprint } = idempotency;
  return {
    compare: [{ key, is: 'absent' }],
    operations: [{ put: key, value: { ...made, fingerprint } }],
  };
}
