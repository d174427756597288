// Routes of the machines of the cluster.

import type { HttpServer } from '#core/http-server';
import { Type } from '#core/schema';
import {
  type ChangeTags,
  changeTagsSchema,
  hostDetailSchema,
  hostViewSchema,
  joinTokenSchema,
} from '../api.ts';
import { clusterViewSchema } from '../cluster-api.ts';
import { readCluster } from '../operations/cluster.ts';
import {
  changeTags,
  readHost,
  rebalance,
  removeHost,
  setDrain,
} from '../operations/host-changes.ts';
import { createJoinToken, listHosts } from '../operations/hosts.ts';
import type { HttpDeps } from './http-deps.ts';
import { callerOf, listOf } from './replies.ts';

const hostParams = Type.Object({ host: Type.String({ minLength: 1, maxLength: 253 }) });
interface HostParams {
  host: string;
}

export function registerHostRoutes(server: HttpServer, { context }: HttpDeps): void {
  const tags = ['hosts'];
  server.get(
    '/cluster',
    {
      schema: {
        summary: 'The whole cluster on one screen, also while its store is away',
        tags,
        response: { 200: clusterViewSchema },
      },
    },
    () => readCluster(context),
  );
  server.get(
    '/hosts',
    {
      schema: {
        summary: 'The machines of the cluster, and how they are',
        tags,
        response: { 200: listOf(hostViewSchema) },
      },
    },
    async () => ({ items: await listHosts(context) }),
  );
  server.post(
    '/hosts/join-tokens',
    {
      schema: {
        summary:
          'Make a token with which one more machine may join; it is shown in this answer and never again',
        tags,
        response: { 201: joinTokenSchema },
      },
    },
    async (_request, reply) => {
      reply.header('cache-control', 'no-store');
      return reply.status(201).send(await createJoinToken(context));
    },
  );
  registerHostChanges(server, { context });
}

function registerHostChanges(server: HttpServer, { context }: Pick<HttpDeps, 'context'>): void {
  const about = (summary: string) => ({
    summary,
    tags: ['hosts'],
    params: hostParams,
    response: { 200: hostDetailSchema },
  });
  server.get<{ Params: HostParams }>(
    '/hosts/:host',
    { schema: about('One machine, by name or id, and what runs there') },
    ({ params }) => readHost(context, params.host),
  );
  server.patch<{ Params: HostParams; Body: ChangeTags }>(
    '/hosts/:host/tags',
    { schema: { ...about('Change tags of a machine'), body: changeTagsSchema } },
    ({ params, body }) => changeTags(context, params.host, body.tags),
  );
  server.post<{ Params: HostParams }>(
    '/hosts/:host/drain',
    { schema: about('Have the processes of a machine move to others, one by one') },
    (request) =>
      setDrain(context, request.params.host, { isDraining: true, caller: callerOf(request) }),
  );
  server.delete<{ Params: HostParams }>(
    '/hosts/:host/drain',
    { schema: about('Let a machine take processes again; what has not moved stays') },
    (request) =>
      setDrain(context, request.params.host, { isDraining: false, caller: callerOf(request) }),
  );
  server.delete<{ Params: HostParams; Querystring: { force?: boolean } }>(
    '/hosts/:host',
    {
      schema: {
        ...about('Take a machine out of the cluster: one that is dead, or drained, or as it is'),
        querystring: Type.Object({ force: Type.Optional(Type.Boolean()) }),
        response: { 200: Type.Object({}) },
      },
    },
    async (request) => {
      const { force = false } = request.query;
      const wanted = { isForced: force, caller: callerOf(request) };
      await removeHost(context, request.params.host, wanted);
      return {};
    },
  );
  server.post<{ Body: { app?: string } }>(
    '/rebalance',
    {
      schema: {
        summary: 'Spread processes evenly again, one by one: of one app, or of all',
        tags: ['hosts'],
        body: Type.Object({ app: Type.Optional(Type.String()) }, { additionalProperties: false }),
        response: { 202: Type.Object({}) },
      },
    },
    async (request, reply) => {
      await rebalance(context, request.body.app);
      return reply.status(202).send({});
    },
  );
}
