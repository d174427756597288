// Where pre-receive hooks report: a unix socket in a folder that only this user can enter, and a secret for each push.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHttpServer, listenUnix } from '#core/http-server';
import { toNdjson } from '#core/stream';
import { type DeployDeps, deployPush } from './deploy-push.ts';
import { gitErrors } from './errors.ts';
import { type HookRequest, hookRequestSchema } from './wire.ts';

export interface HookServer {
  socket: string;
  /** The folder for core.hooksPath: one hook, ours. */
  hooks: string;
  stop(): Promise<void>;
}

export async function startHookServer(deps: DeployDeps): Promise<HookServer> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-git-'));
  const hooks = join(folder, 'hooks');
  const socket = join(folder, 'push.sock');
  await mkdir(hooks);
  const program = join(import.meta.dirname, '../../../bin/gantry-pre-receive.ts');
  const script = `#!/bin/sh\nexec '${process.execPath}' '${program}'\n`;
  await writeFile(join(hooks, 'pre-receive'), script, { mode: 0o755 });

  const server = createHttpServer({ log: deps.log });
  server.post(
    '/pre-receive',
    { schema: { summary: 'What the hook of one push reports', body: hookRequestSchema } },
    async (request, reply) => {
      const secret = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
      const push = deps.pushes.bySecret(secret);
      if (!push) throw gitErrors.unauthorized('this hook belongs to no push that is under way');
      const lines = deployPush(deps, push, request.body as HookRequest);
      return reply.type('application/x-ndjson').send(toNdjson(lines, deps.clock));
    },
  );
  await listenUnix(server, socket);
  return {
    socket,
    hooks,
    async stop() {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
