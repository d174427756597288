// Routes of the store of the cluster.

import type { HttpServer } from '#core/http-server';
import { type Static, Type } from '#core/schema';
import { haStatusSchema } from '#layer0/ha/wire';
import { moveStore, readStore } from '../operations/ha.ts';
import type { HttpDeps } from './http-deps.ts';

const moveBody = Type.Object(
  {
    hosts: Type.Optional(
      Type.Array(Type.String(), {
        maxItems: 9,
        description: 'Ids or names of three machines; three that fit unless said.',
      }),
    ),
  },
  { additionalProperties: false },
);

export function registerHaRoutes(server: HttpServer, { context }: HttpDeps): void {
  const tags = ['cluster'];
  server.get(
    '/cluster/store',
    {
      schema: {
        summary: 'Where the store of the cluster is, and how its copies are',
        tags,
        response: { 200: haStatusSchema },
      },
    },
    () => readStore(context),
  );
  server.post<{ Body: Static<typeof moveBody> }>(
    '/cluster/ha',
    {
      schema: {
        summary:
          'Begin the move of the store to etcd on three machines; GET /cluster/store says how it goes',
        tags,
        body: moveBody,
        response: { 202: haStatusSchema },
      },
    },
    async (request, reply) => reply.status(202).send(await moveStore(context, request.body.hosts)),
  );
}
