// The state of the store as a file, and back.

import { Readable } from 'node:stream';
import type { HttpServer } from '#core/http-server';
import { oneOf, type Static, Type } from '#core/schema';
import { restoreResultSchema } from '../backup-api.ts';
import { readBackup } from '../backup-file.ts';
import { backUp, restore } from '../operations/backup.ts';
import type { HttpDeps } from './http-deps.ts';

export function registerBackupRoutes(server: HttpServer, { context }: HttpDeps): void {
  const tags = ['hosts'];
  const query = Type.Object({ mode: Type.Optional(oneOf('replace', 'takeover')) });
  server.get(
    '/cluster/backup',
    {
      schema: {
        summary: 'The whole state of the store as lines of JSON, the last one a checksum',
        tags,
        response: { 200: Type.Unknown() },
      },
    },
    async (_request, reply) => {
      reply.header('content-type', 'application/x-ndjson').header('cache-control', 'no-store');
      const lines = backUp(context);
      return reply.send(Readable.from(withNewlines(lines), { objectMode: false }));
    },
  );
  server.addContentTypeParser('application/x-ndjson', (_request, payload, done) =>
    done(null, payload),
  );
  server.post<{ Body: AsyncIterable<Uint8Array>; Querystring: Static<typeof query> }>(
    '/cluster/restore',
    {
      schema: {
        summary: 'Put the state of a backup in the place of the present one, in one step',
        description: 'Machines, tokens, addresses and the platform itself stay as they are now.',
        tags,
        querystring: query,
        response: { 200: restoreResultSchema },
      },
    },
    async (request) =>
      restore(context, await readBackup(request.body), request.query.mode ?? 'replace'),
  );
}

async function* withNewlines(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`;
}
