// Routes of discovery under /discovery, so that a program in any language can register, heartbeat and watch.
// An instance registered here has a lease of its own; the next PUT is its heartbeat.

import type { Clock } from '#core/clock';
import type { HttpServer } from '#core/http-server';
import { type Static, Type } from '#core/schema';
import { AsyncQueue, toNdjson } from '#core/stream';
import type { Entry, Store } from '#layer0/store/client';
import type { Directory, DiscoveryClient } from './client.ts';
import { maxTtlMs, streamBacklog } from './config.ts';
import { discoveryErrors } from './errors.ts';
import { endLease, keepLease } from './lease.ts';
import { type Instance, instanceKey, instanceSchema } from './wire.ts';

export interface DiscoveryRouteDeps {
  discovery: DiscoveryClient;
  store: Store;
  clock: Clock;
}

const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const namePattern = `^${label}(\\.${label}){0,3}$`;

const serviceParams = Type.Object({
  service: Type.String({ pattern: namePattern, description: 'Like `web.shop`.' }),
});
const instanceParams = Type.Object({
  ...serviceParams.properties,
  id: Type.String({ pattern: namePattern, description: 'Like `1.web.shop`.' }),
});

const registrationSchema = Type.Object({
  address: Type.String({ minLength: 1, maxLength: 253 }),
  port: Type.Integer({ minimum: 0, maximum: 65_535 }),
  ttlMs: Type.Integer({
    minimum: 1_000,
    maximum: maxTtlMs,
    description: 'How long it stays without another PUT.',
  }),
  metadata: Type.Optional(
    Type.Record(Type.String({ maxLength: 128 }), Type.String({ maxLength: 4096 })),
  ),
});
type Registration = Static<typeof registrationSchema>;

const directorySchema = Type.Object({
  revision: Type.Object({ incarnation: Type.String(), revision: Type.Integer() }),
  services: Type.Record(Type.String(), Type.Array(instanceSchema)),
});

export function registerDiscoveryRoutes(server: HttpServer, deps: DiscoveryRouteDeps): void {
  registerReads(server, deps);
  registerWrites(server, deps);
}

function registerReads(server: HttpServer, { discovery, clock }: DiscoveryRouteDeps): void {
  server.get(
    '/discovery/services',
    {
      schema: {
        summary: 'Names of the services that have an instance.',
        tags: ['discovery'],
        response: { 200: Type.Array(Type.String()) },
      },
    },
    async () => discovery.services(),
  );
  server.get<{ Params: { service: string } }>(
    '/discovery/services/:service/instances',
    {
      schema: {
        summary: 'Instances of a service, the oldest first, and which one leads it.',
        tags: ['discovery'],
        params: serviceParams,
        response: {
          200: Type.Object({
            leader: Type.Optional(instanceSchema),
            instances: Type.Array(instanceSchema),
          }),
        },
      },
    },
    async ({ params }) => {
      const leader = discovery.leader(params.service);
      const instances = [...discovery.instances(params.service)];
      return leader ? { leader, instances } : { instances };
    },
  );
  server.get(
    '/discovery/stream',
    {
      schema: {
        summary: 'NDJSON: everything that is registered, now and again after each change.',
        tags: ['discovery'],
        response: { 200: directorySchema },
      },
    },
    async (_request, reply) => {
      const queue = new AsyncQueue<unknown>(streamBacklog);
      const stop = discovery.watchAll((directory) => queue.push(toWire(directory)));
      reply.raw.once('close', () => {
        stop();
        queue.close();
      });
      return reply.type('application/x-ndjson').send(toNdjson(queue, clock));
    },
  );
  server.get(
    '/discovery/status',
    {
      schema: {
        summary: 'The discovery component: revision, lease, loop.',
        tags: ['discovery'],
        response: { 200: Type.Record(Type.String(), Type.Unknown()) },
      },
    },
    async () => discovery.status(),
  );
}

function registerWrites(server: HttpServer, deps: DiscoveryRouteDeps): void {
  server.put<{ Params: { service: string; id: string }; Body: Registration }>(
    '/discovery/services/:service/instances/:id',
    {
      schema: {
        summary: 'Registers an instance, or says that it is still there.',
        tags: ['discovery'],
        params: instanceParams,
        body: registrationSchema,
        response: { 200: instanceSchema },
      },
    },
    async ({ params, body }) => heartbeat(deps, params.service, params.id, body),
  );
  server.delete<{ Params: { service: string; id: string } }>(
    '/discovery/services/:service/instances/:id',
    {
      schema: {
        summary: 'Takes out an instance that was registered here. Absent is no error.',
        tags: ['discovery'],
        params: instanceParams,
        response: { 204: Type.Null() },
      },
    },
    async ({ params }, reply) => {
      const entry = await readOwn(deps.store, params.service, params.id);
      if (entry?.lease) await endLease(deps.store, entry.lease);
      return reply.status(204).send();
    },
  );
}

async function heartbeat(
  { store, clock }: DiscoveryRouteDeps,
  service: string,
  id: string,
  body: Registration,
): Promise<Instance> {
  const there = await readOwn(store, service, id);
  const instance: Instance = {
    id,
    service,
    address: body.address,
    port: body.port,
    ports: {},
    state: 'up',
    host: '',
    createdAt: there?.value.createdAt ?? clock.now(),
    metadata: body.metadata ?? {},
    ttlMs: body.ttlMs,
  };
  const isSame = JSON.stringify(there?.value) === JSON.stringify(instance);
  if (there?.lease && isSame && (await keepLease(store, there.lease))) return instance;
  const lease = await store.grantLease(body.ttlMs);
  const key = instanceKey(service, id);
  await store.txn({ compare: [], operations: [{ put: key, value: instance, lease: lease.id }] });
  if (there?.lease) await endLease(store, there.lease);
  return instance;
}

/** The instance, if it was registered over HTTP; discovery.notYours when Gantry's own daemons keep it. */
async function readOwn(
  store: Store,
  service: string,
  id: string,
): Promise<Entry<Instance> | undefined> {
  const entry = await store.get<Instance>(instanceKey(service, id));
  if (entry && entry.value.ttlMs === undefined)
    throw discoveryErrors.notYours(`${id} of ${service} is kept by Gantry itself`);
  return entry;
}

function toWire({ revision, services }: Directory): unknown {
  return { revision, services: Object.fromEntries(services) };
}
