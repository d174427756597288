// What every route does the same way: who calls, streams that end with the caller, and lists.

import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import type { Clock } from '#core/clock';
import { coreErrors, toAppError } from '#core/errors';
import type { HttpServer } from '#core/http-server';
import { type TSchema, Type } from '#core/schema';
import { toNdjson } from '#core/stream';
import type { Caller } from '../context.ts';
import { type IdempotencyKey, idempotencyOf } from '../operations/idempotency.ts';
import { appNamePattern, type ProgressLine } from '../wire.ts';
import type { HttpDeps } from './http-deps.ts';

export const appParams = Type.Object({ app: Type.String({ pattern: appNamePattern }) });
export interface AppParams {
  app: string;
}

export const thingParams = Type.Object({
  app: Type.String({ pattern: appNamePattern }),
  id: Type.String({ minLength: 1, maxLength: 128 }),
});
export interface ThingParams extends AppParams {
  id: string;
}

export const listOf = <S extends TSchema>(item: S) =>
  Type.Object({
    items: Type.Array(item),
    next: Type.Optional(
      Type.Integer({ description: 'Where the next page starts, if there is one.' }),
    ),
  });

const callers = new WeakMap<object, Caller>();

/** Every route but `open` ones needs a token; what the token says about the caller goes with the request. */
export function requireToken(server: HttpServer, deps: HttpDeps, open: readonly string[]): void {
  server.addHook('onRequest', async (request) => {
    const path = request.url.split('?')[0] ?? '';
    if (open.includes(path)) return;
    const cost = heavyRoutes.includes(request.routeOptions.url ?? '') ? heavyCost : 1;
    callers.set(request.raw, await deps.admission.admit(request.raw, cost));
  });
}

/** Routes whose calls are a build or a whole image, and how many others each of them counts as. */
const heavyRoutes = ['/apps/:app/builds', '/images'];
const heavyCost = 25;

export function callerOf(request: { raw: IncomingMessage }): Caller {
  const caller = callers.get(request.raw);
  if (!caller) throw coreErrors.internal('a route was reached without a token check');
  return caller;
}

/** Longest Idempotency-Key. */
const maxIdempotencyKey = 200;

export interface Keyed {
  raw: IncomingMessage;
  method: string;
  url: string;
  body: unknown;
}

export function idempotencyKeyOf(request: Keyed): IdempotencyKey | undefined {
  const header = request.raw.headers['idempotency-key'];
  if (typeof header === 'string' && header.length > maxIdempotencyKey)
    throw coreErrors.invalid(`the Idempotency-Key is longer than ${maxIdempotencyKey} characters`);
  const { method, url: path, body } = request;
  const caller = callerOf(request).id;
  return idempotencyOf({
    caller,
    header: typeof header === 'string' && header !== '' ? header : undefined,
    method,
    path,
    body,
  });
}

interface Reply {
  raw: { once(event: 'close', listener: () => void): unknown };
  header(name: string, value: string): unknown;
  send(payload: unknown): unknown;
}

/** Fires when the caller is gone, or has been answered. */
export function goneSignal(reply: Reply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  return gone.signal;
}

/** Values as lines for as long as the caller listens. */
export function sendNdjson(
  reply: Reply,
  clock: Clock,
  source: (signal: AbortSignal) => AsyncIterable<unknown>,
): unknown {
  reply.header('content-type', 'application/x-ndjson');
  return reply.send(toNdjson(source(goneSignal(reply)), clock));
}

/** A stream has sent its head when it fails: the error is its last line. */
export async function* withErrorLine(
  source: AsyncIterable<ProgressLine>,
): AsyncGenerator<ProgressLine> {
  try {
    yield* source;
  } catch (error) {
    yield { type: 'error', error: toAppError(error).toBody() };
  }
}

/** Bodies that are streams, not JSON: handed to the route as they come. */
export function acceptTar(server: HttpServer): void {
  const types = ['application/x-tar', 'application/octet-stream'];
  server.addContentTypeParser(types, (_request, payload, done) => done(null, payload));
}

export function tarOf(request: { body: unknown; headers: IncomingMessage['headers'] }): Readable {
  const body = request.body as Readable | undefined;
  if (!body || typeof body.pipe !== 'function')
    throw coreErrors.invalid('the body must be a tar: send it as application/x-tar');
  const tar = new PassThrough();
  // Whoever reads sees the error; when nobody does, it is no reason for the process to end.
  tar.on('error', () => undefined);
  body.on('error', (error) => tar.destroy(error));
  body.once('close', () => {
    if (!body.readableEnded) tar.destroy(coreErrors.aborted('the tar broke off'));
  });
  // Whoever reads may stop early. The rest is read and dropped: to destroy a request is to lose its answer.
  tar.once('close', () => {
    body.unpipe(tar);
    body.resume();
  });
  return body.pipe(tar);
}
