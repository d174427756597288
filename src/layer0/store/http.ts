// The store's routes: parse, call, answer.

import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';
import type { HttpServer } from '#core/http-server';
import { type Static, Type } from '#core/schema';
import { fromNdjson, toNdjson } from '#core/stream';
import type { Store } from './client.ts';
import { storeErrors } from './errors.ts';
import {
  type Compare,
  entrySchema,
  leaseSchema,
  maxListLimit,
  type ReplaceLine,
  type Replacement,
  type Revision,
  revisionSchema,
  snapshotSchema,
  txnResultSchema,
  txnSchema,
  type WatchBatch,
  type WatchLine,
} from './wire.ts';

/** A store of this process, whichever engine: what the routes call. */
export interface ServedStore extends Store {
  status(): unknown;
}

export interface StoreHttpDeps {
  clock: Clock;
}

const tags = ['store'];
const keyQuery = Type.Object({ key: Type.String() });
const listQuery = Type.Object({
  prefix: Type.String(),
  after: Type.Optional(Type.String({ description: 'Only keys that sort after this one.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: maxListLimit })),
  incarnation: Type.Optional(Type.String({ description: 'With `revision`: read that state.' })),
  revision: Type.Optional(Type.Integer({ minimum: 0 })),
});
const watchQuery = Type.Object({
  prefix: Type.String(),
  incarnation: Type.String(),
  revision: Type.Integer({ minimum: 0, description: 'Events after this revision.' }),
});
const leaseBody = Type.Object({ ttlMs: Type.Integer() });
const leaseParams = Type.Object({ id: Type.String() });

export function registerStoreRoutes(
  server: HttpServer,
  store: ServedStore,
  deps: StoreHttpDeps,
): void {
  registerReads(server, store);
  registerWatch(server, store, deps);
  registerLeases(server, store);
  server.post<{ Body: Static<typeof txnSchema> }>(
    '/store/txn',
    {
      schema: {
        summary: 'Commit a transaction, or nothing of it',
        tags,
        body: txnSchema,
        response: { 200: txnResultSchema },
      },
    },
    (request) => store.txn(request.body),
  );
  registerReplace(server, store);
}

function registerReads(server: HttpServer, store: ServedStore): void {
  server.get<{ Querystring: Static<typeof keyQuery> }>(
    '/store/entry',
    {
      schema: {
        summary: 'Read one key',
        tags,
        querystring: keyQuery,
        response: { 200: Type.Object({ entry: Type.Optional(entrySchema) }) },
      },
    },
    async (request) => {
      const entry = await store.get(request.query.key);
      return entry ? { entry } : {};
    },
  );
  server.get<{ Querystring: Static<typeof listQuery> }>(
    '/store/list',
    {
      schema: {
        summary: 'Read every key with a prefix, as of one revision',
        tags,
        querystring: listQuery,
        response: { 200: snapshotSchema },
      },
    },
    (request) => {
      const { prefix, after, limit, incarnation, revision } = request.query;
      const isAt = incarnation !== undefined && revision !== undefined;
      return store.list(prefix, {
        ...(after === undefined ? {} : { after }),
        ...(limit === undefined ? {} : { limit }),
        ...(isAt ? { at: { incarnation, revision } } : {}),
      });
    },
  );
  server.get(
    '/store/status',
    { schema: { summary: 'How the store is', tags, response: { 200: Type.Unknown() } } },
    async () => store.status(),
  );
}

function registerWatch(server: HttpServer, store: ServedStore, { clock }: StoreHttpDeps): void {
  server.get<{ Querystring: Revision & { prefix: string } }>(
    '/store/watch',
    {
      schema: {
        summary: 'Commits as they happen: one JSON object a line, an error as the last one',
        tags,
        querystring: watchQuery,
        response: { 200: Type.Unknown({ description: 'Lines of JSON: WatchLine.' }) },
      },
    },
    (request, reply) => {
      const { prefix, ...from } = request.query;
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      const batches = store.watch(prefix, { from, signal: gone.signal });
      return reply.type('application/x-ndjson').send(toNdjson(linesOf(batches), clock));
    },
  );
}

function registerReplace(server: HttpServer, store: ServedStore): void {
  server.addContentTypeParser('application/x-ndjson', (_request, payload, done) =>
    done(null, payload),
  );
  server.post<{ Body: AsyncIterable<Uint8Array> }>(
    '/store/replace',
    {
      schema: {
        summary: 'Put another state in the place of all that is there, in one step',
        description:
          'Lines of JSON: what must hold, each entry, and how many there were. Begins a new incarnation.',
        tags,
        response: { 200: revisionSchema },
      },
    },
    async (request) => {
      const { entries, compare } = await readReplacement(request.body);
      return store.replaceAll(entries, compare);
    },
  );
}

async function readReplacement(body: AsyncIterable<Uint8Array>) {
  const entries: Replacement[] = [];
  let compare: Compare[] = [];
  let count: number | undefined;
  for await (const line of fromNdjson<ReplaceLine>(body)) {
    if ('compare' in line) compare = line.compare;
    else if ('count' in line) count = line.count;
    else entries.push(line);
  }
  if (count !== entries.length)
    throw storeErrors.invalid(
      `replace all: ${entries.length} entries came of ${count ?? 'an unknown number'}: nothing is changed`,
    );
  return { entries, compare };
}

async function* linesOf(batches: AsyncIterable<WatchBatch>): AsyncGenerator<WatchLine> {
  try {
    yield* batches;
  } catch (error) {
    yield { error: toAppError(error).toBody() };
  }
}

function registerLeases(server: HttpServer, store: ServedStore): void {
  server.post<{ Body: Static<typeof leaseBody> }>(
    '/store/leases',
    {
      schema: { summary: 'Grant a lease', tags, body: leaseBody, response: { 200: leaseSchema } },
    },
    (request) => store.grantLease(request.body.ttlMs),
  );
  server.post<{ Params: Static<typeof leaseParams> }>(
    '/store/leases/:id/keep-alive',
    {
      schema: {
        summary: 'Give a lease its full time again',
        tags,
        params: leaseParams,
        response: { 200: Type.Object({}) },
      },
    },
    async (request) => {
      await store.keepAlive(request.params.id);
      return {};
    },
  );
  server.delete<{ Params: Static<typeof leaseParams> }>(
    '/store/leases/:id',
    {
      schema: {
        summary: 'End a lease and delete its keys',
        tags,
        params: leaseParams,
        response: { 200: Type.Object({}) },
      },
    },
    async (request) => {
      await store.revokeLease(request.params.id);
      return {};
    },
  );
}
