// Routes of everything that is not one app's code or jobs: routes, certificates, tokens, events, and how the platform is.

import { Readable } from 'node:stream';
import type { Clock } from '#core/clock';
import type { HttpServer } from '#core/http-server';
import { Type } from '#core/schema';
import { streamSilenceMs } from '#core/stream';
import { routeSchema } from '#layer1/router/wire';
import {
  type ChangeRoute,
  type CreateRoute,
  certificateViewSchema,
  changeRouteSchema,
  checkSchema,
  createdTokenSchema,
  createRouteSchema,
  createTokenSchema,
  putCertificateSchema,
} from '../api.ts';
import { followEvents, readEvents } from '../events.ts';
import { examine } from '../operations/doctor.ts';
import {
  changeRoute,
  createRoute,
  listCertificates,
  listRoutes,
  type Pems,
  putCertificate,
  removeCertificate,
  removeRoute,
} from '../operations/routes.ts';
import { createToken, listTokens, revokeToken } from '../operations/tokens.ts';
import { readApp } from '../records.ts';
import { appNamePattern, type Event, eventSchema, tokenSchema } from '../wire.ts';
import type { HttpDeps } from './http-deps.ts';
import {
  type AppParams,
  appParams,
  callerOf,
  goneSignal,
  listOf,
  type ThingParams,
  thingParams,
} from './replies.ts';

export function registerPlatformRoutes(server: HttpServer, deps: HttpDeps): void {
  registerRoutes(server, deps);
  registerCertificates(server, deps);
  registerTokens(server, deps);
  registerEvents(server, deps);
  registerHealth(server, deps);
}

function registerRoutes(server: HttpServer, { context }: HttpDeps): void {
  const tags = ['routes'];
  server.get<{ Params: AppParams }>(
    '/apps/:app/routes',
    {
      schema: {
        summary: 'Where the app answers',
        tags,
        params: appParams,
        response: { 200: listOf(routeSchema) },
      },
    },
    async ({ params }) => ({ items: await listRoutes(context, params.app) }),
  );
  server.post<{ Params: AppParams; Body: CreateRoute }>(
    '/apps/:app/routes',
    {
      schema: {
        summary: 'Add a route by domain and path, or by TCP port; the same one again is no error',
        tags,
        params: appParams,
        body: createRouteSchema,
        response: { 201: routeSchema },
      },
    },
    async ({ params, body }, reply) =>
      reply.status(201).send(await createRoute(context, params.app, body)),
  );
  server.patch<{ Params: ThingParams; Body: ChangeRoute }>(
    '/apps/:app/routes/:id',
    {
      schema: {
        summary: 'Redirect to HTTPS or not, send the PROXY protocol or not',
        tags,
        params: thingParams,
        body: changeRouteSchema,
        response: { 200: routeSchema },
      },
    },
    async ({ params, body }) => await changeRoute(context, params, body),
  );
  server.delete<{ Params: ThingParams }>(
    '/apps/:app/routes/:id',
    {
      schema: {
        summary: 'Remove a route',
        tags,
        params: thingParams,
        response: { 200: routeSchema },
      },
    },
    async ({ params: { app, id } }) => await removeRoute(context, app, id),
  );
}

function registerCertificates(server: HttpServer, { context }: HttpDeps): void {
  const tags = ['certificates'];
  const params = Type.Object({ domain: Type.String({ minLength: 1, maxLength: 255 }) });
  server.get(
    '/certificates',
    {
      schema: {
        summary: 'Certificates and when they end',
        tags,
        response: { 200: listOf(certificateViewSchema) },
      },
    },
    async () => ({ items: await listCertificates(context) }),
  );
  server.put<{ Params: { domain: string }; Body: Pems }>(
    '/certificates/:domain',
    {
      schema: {
        summary: 'Give a certificate and its key, which is kept sealed',
        tags,
        params,
        body: putCertificateSchema,
        response: { 200: certificateViewSchema },
      },
    },
    async (request) => await putCertificate(context, request.params.domain, request.body),
  );
  server.delete<{ Params: { domain: string } }>(
    '/certificates/:domain',
    { schema: { summary: 'Remove a certificate', tags, params, response: { 204: Type.Null() } } },
    async (request, reply) => {
      await removeCertificate(context, request.params.domain);
      return reply.status(204).send();
    },
  );
}

function registerTokens(server: HttpServer, { context }: HttpDeps): void {
  const tags = ['tokens'];
  server.get(
    '/whoami',
    {
      schema: {
        summary: 'Whose token this is',
        tags,
        response: { 200: Type.Object({ id: Type.String(), name: Type.String() }) },
      },
    },
    async (request) => callerOf(request),
  );
  server.get(
    '/tokens',
    { schema: { summary: 'Who may call', tags, response: { 200: listOf(tokenSchema) } } },
    async () => ({ items: await listTokens(context) }),
  );
  server.post<{ Body: { name: string } }>(
    '/tokens',
    {
      schema: {
        summary: 'Make a token; it is shown in this answer and never again',
        tags,
        body: createTokenSchema,
        response: { 201: createdTokenSchema },
      },
    },
    async ({ body }, reply) => {
      reply.header('cache-control', 'no-store');
      return reply.status(201).send(await createToken(context, body.name));
    },
  );
  server.delete<{ Params: { id: string } }>(
    '/tokens/:id',
    {
      schema: {
        summary: 'Revoke a token; its next call is refused',
        tags,
        params: Type.Object({ id: Type.String({ maxLength: 128 }) }),
        response: { 204: Type.Null() },
      },
    },
    async ({ params }, reply) => {
      await revokeToken(context, params.id);
      return reply.status(204).send();
    },
  );
}

interface EventsQuery {
  app?: string;
  after?: number;
  limit?: number;
  follow?: boolean;
}

function registerEvents(server: HttpServer, { context }: HttpDeps): void {
  const { store, clock } = context;
  server.get<{ Querystring: EventsQuery }>(
    '/events',
    {
      schema: {
        summary:
          'What happened; with `follow` a stream of server-sent events that resumes by Last-Event-ID',
        tags: ['events'],
        querystring: Type.Object({
          app: Type.Optional(Type.String({ pattern: appNamePattern })),
          after: Type.Optional(Type.Integer({ minimum: 0 })),
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
          follow: Type.Optional(Type.Boolean()),
        }),
        response: { 200: listOf(eventSchema) },
      },
    },
    async ({ query, headers }, reply) => {
      const { limit = 100 } = query;
      const app = query.app === undefined ? undefined : (await readApp(store, query.app)).value.id;
      const resumed = /^\d{1,15}$/.exec(String(headers['last-event-id'] ?? ''))?.[0];
      const after = resumed === undefined ? query.after : Number(resumed);
      if (!query.follow && !headers.accept?.includes('text/event-stream')) {
        const items = await readEvents(store, { app, after, limit });
        const last = items.at(-1)?.id;
        return { items, ...(items.length === limit && last !== undefined ? { next: last } : {}) };
      }
      reply.header('content-type', 'text/event-stream').header('cache-control', 'no-store');
      const events = followEvents(store, { app, after }, goneSignal(reply));
      return reply.send(Readable.from(asServerSent(events, clock), { objectMode: false }));
    },
  );
}

/** Events as text, and a comment when nothing happened for a while, so that a dead connection is noticed. */
async function* asServerSent(events: AsyncGenerator<Event>, clock: Clock): AsyncGenerator<string> {
  yield ': events follow\n\n';
  let next = events.next();
  for (;;) {
    const quiet = new AbortController();
    const beat = clock.sleep(streamSilenceMs / 3, quiet.signal).catch(() => undefined);
    const step = await Promise.race([next, beat]).finally(() => quiet.abort());
    if (!step) {
      yield ': still here\n\n';
      continue;
    }
    if (step.done) return;
    const { id, type } = step.value;
    yield `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(step.value)}\n\n`;
    next = events.next();
  }
}

function registerHealth(server: HttpServer, { context, status }: HttpDeps): void {
  const tags = ['platform'];
  server.get(
    '/healthz',
    {
      schema: {
        summary: 'The API can serve: its view of the store has been read',
        tags,
        response: { 200: Type.Object({ isReady: Type.Boolean() }) },
      },
    },
    async () => {
      await context.observer.ready;
      return { isReady: true };
    },
  );
  server.get(
    '/status',
    { schema: { summary: 'How the controller is', tags, response: { 200: Type.Unknown() } } },
    async () => status(),
  );
  server.get(
    '/doctor',
    {
      schema: {
        summary: 'Checks of what must always hold, as far as the controller can see',
        tags,
        response: { 200: listOf(checkSchema) },
      },
    },
    async () => ({ items: await examine(context) }),
  );
}
