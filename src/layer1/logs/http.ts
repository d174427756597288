// Routes of logs, on loopback, for the management API: parse, call, answer.

import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '#core/clock';
import type { HttpServer } from '#core/http-server';
import { Type } from '#core/schema';
import { toNdjson } from '#core/stream';
import { logsErrors } from './errors.ts';
import { type LogEntry, type LogQuery, logQuerySchema } from './wire.ts';

export interface LogsRoutesDeps {
  read(query: LogQuery, signal: AbortSignal): AsyncGenerator<LogEntry>;
  status(): Record<string, unknown>;
  internalKey: string;
  clock: Clock;
}

export function registerLogsRoutes(server: HttpServer, deps: LogsRoutesDeps): void {
  const tags = ['logs'];
  server.get(
    '/healthz',
    {
      schema: {
        summary: 'Is this process up?',
        tags,
        response: { 200: Type.Object({ ok: Type.Boolean() }) },
      },
    },
    () => ({ ok: true }),
  );

  server.get(
    '/status',
    {
      schema: {
        summary: 'What is followed, for doctor.',
        tags,
        response: { 200: Type.Record(Type.String(), Type.Unknown()) },
      },
    },
    () => deps.status(),
  );

  server.get<{ Querystring: LogQuery }>(
    '/logs',
    {
      schema: {
        summary:
          'Lines of an app as NDJSON: the last ones, or those after a cursor; then with `follow` what comes.',
        tags,
        querystring: logQuerySchema,
        response: { 200: Type.Unknown({ description: 'Lines of JSON: LogEntry.' }) },
      },
    },
    (request, reply) => {
      requireKey(request.headers.authorization, deps.internalKey);
      const abort = new AbortController();
      reply.raw.once('close', () => abort.abort());
      const lines = deps.read(request.query, abort.signal);
      return reply.type('application/x-ndjson').send(toNdjson(lines, deps.clock));
    },
  );
}

function requireKey(header: string | undefined, key: string): void {
  const [given, wanted] = [Buffer.from(header ?? ''), Buffer.from(`Bearer ${key}`)];
  if (given.length === wanted.length && timingSafeEqual(given, wanted)) return;
  throw logsErrors.unauthorized('logs are read through the management API: use `gantry log`');
}
