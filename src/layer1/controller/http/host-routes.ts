// Routes of the machines of the cluster.

import type { HttpServer } from '#core/http-server';
import { hostViewSchema, joinTokenSchema } from '../api.ts';
import { clusterViewSchema } from '../cluster-api.ts';
import { readCluster } from '../operations/cluster.ts';
import { createJoinToken, listHosts } from '../operations/hosts.ts';
import type { HttpDeps } from './http-deps.ts';
import { listOf } from './replies.ts';

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
}
