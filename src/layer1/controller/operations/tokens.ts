// Who may call. Only the sha256 of a token is kept; the token itself is shown once, when it is made.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { newId } from '#core/ids';
import type { Store } from '#layer0/store/client';
import type { CreatedToken } from '../api.ts';
import type { Caller, Context } from '../context.ts';
import { controllerErrors } from '../errors.ts';
import { eventOperation } from '../events.ts';
import { type Token, tokenKey, tokenPrefix } from '../wire.ts';

/** Most tokens at a time. */
const maxTokens = 1_000;
const tokenPattern = /^gantry_[A-Za-z0-9_-]{20,100}$/;

export const internalCaller: Caller = { id: 'internal', name: 'gantry' };

export function newToken(): string {
  return `gantry_${randomBytes(24).toString('base64url')}`;
}

export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** The token of an `Authorization` header; controller.unauthorized when it has none. */
export function bearerOf(authorization: string | undefined): string {
  const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  if (token !== undefined) return token;
  throw controllerErrors.unauthorized(
    'the call has no token: send `Authorization: Bearer <token>`, or `gantry login`',
  );
}

/** Throws controller.unauthorized; says nothing about why a token is not known. */
export async function authenticate(
  store: Store,
  token: string,
  internalKey: string,
): Promise<Caller> {
  if (isEqual(token, internalKey)) return internalCaller;
  const known = tokenPattern.test(token)
    ? await store.get<Token>(tokenKey(tokenHash(token)))
    : undefined;
  if (!known)
    throw controllerErrors.unauthorized('the token is not known (any more); ask for a new one');
  return { id: known.value.id, name: known.value.name };
}

/** Compares hashes, so that neither length nor content shows in the time it takes. */
function isEqual(a: string, b: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}

export async function createToken(context: Context, name: string): Promise<CreatedToken> {
  const { store, clock } = context;
  const { entries } = await store.list(tokenPrefix);
  if (entries.length >= maxTokens)
    throw controllerErrors.conflict(
      `there are ${maxTokens} tokens, which is the limit; revoke some`,
    );
  const token = newToken();
  const value: Token = { id: newId('tok'), name, createdAt: clock.now() };
  const key = tokenKey(tokenHash(token));
  const event = { type: 'token.created', object: value.id, message: `token ${name}` };
  await store.txn({
    compare: [{ key, is: 'absent' }],
    operations: [{ put: key, value }, eventOperation(event, context)],
  });
  return { ...value, token };
}

export async function listTokens({ store }: Context): Promise<Token[]> {
  const { entries } = await store.list<Token>(tokenPrefix);
  return entries.map(({ value }) => value).sort((a, b) => a.createdAt - b.createdAt);
}

export async function revokeToken(context: Context, id: string): Promise<void> {
  const { store } = context;
  const { entries } = await store.list<Token>(tokenPrefix);
  const entry = entries.find(({ value }) => value.id === id);
  if (!entry)
    throw controllerErrors.tokenNotFound(`there is no token ${id}; \`gantry token\` lists them`);
  const { key, modRevision, value } = entry;
  const event = { type: 'token.revoked', object: id, message: `token ${value.name}` };
  // One that somebody else revoked meanwhile is revoked: they have told of it.
  await store.txn({
    compare: [{ key, modRevision }],
    operations: [{ delete: key }, eventOperation(event, context)],
  });
}
