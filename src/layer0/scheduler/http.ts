// The scheduler's routes: how it is, and what waits for what.

import type { HttpServer } from '#core/http-server';
import { oneOf, Type } from '#core/schema';
import type { Scheduler } from './index.ts';

const schedulerStatusSchema = Type.Object({
  name: Type.String({ description: '`service` or `ephemeral`.' }),
  isLeader: Type.Boolean({ description: 'This daemon leads it.' }),
  commits: Type.Integer(),
  conflicts: Type.Integer({
    description: 'Transactions that another writer was faster than: decided again on fresh state.',
  }),
  conflictsInRow: Type.Integer({ description: 'Since its last commit.' }),
  steps: Type.Integer({ description: 'Changes committed.' }),
  loop: Type.Object({}, { additionalProperties: true }),
});

const pendingSchema = Type.Object({
  id: Type.String(),
  name: Type.String({ description: '`web.1.shop`.' }),
  kind: oneOf('service', 'ephemeral'),
  reason: Type.String(),
  since: Type.Integer(),
});

const stateSchema = Type.Object({
  isReady: Type.Boolean({ description: 'The local copy follows the store.' }),
  schedulers: Type.Array(schedulerStatusSchema),
  pending: Type.Array(pendingSchema),
});

export function registerSchedulerRoutes(server: HttpServer, scheduler: Scheduler): void {
  server.get(
    '/scheduler/state',
    {
      schema: {
        summary: 'Leaders, conflicts, and every job that waits for a place with its reason',
        tags: ['scheduler'],
        response: { 200: stateSchema },
      },
    },
    () => Promise.resolve(scheduler.report()),
  );
  server.get(
    '/scheduler/metrics',
    {
      schema: {
        summary: 'Figures for Prometheus',
        tags: ['scheduler'],
        response: { 200: Type.String() },
      },
    },
    async (_request, reply) => reply.type('text/plain; version=0.0.4').send(scheduler.metrics()),
  );
}
