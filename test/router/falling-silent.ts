// An instance on a machine that loses its power, as its callers see it: it takes a request, and then not even a connection is
// refused. A process that stands still does so as soon as the few connections that its kernel takes for it are there.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

export interface FallingSilent {
  port: number;
  /** Resolves when it has a request; it never answers. */
  asked: Promise<void>;
  fall(): void;
  /** As the host daemon does it; answers how many. HAProxy 2.6 sends again what it is told to end, too; 3.0 does not. */
  endConnections(): Promise<number>;
  stop(): Promise<void>;
}

const run = promisify(execFile);

const program = `
  const server = require('node:http').createServer(() => console.log('asked'));
  server.listen({ port: 0, host: '::1', backlog: 1 }, () => console.log(server.address().port));
`;

/** On the other loopback: an instance of another machine is never at 127.0.0.1. */
export async function startFallingSilent(): Promise<FallingSilent> {
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const sockets: Socket[] = [];
  const lines = createInterface({ input: child.stdout });
  const [port] = (await once(lines, 'line')) as [string];
  return {
    port: Number(port),
    asked: once(lines, 'line').then(() => undefined),
    fall() {
      child.kill('SIGSTOP');
      for (let count = 0; count < 4; count++) {
        const socket = connect({ host: '::1', port: Number(port) });
        sockets.push(socket.on('error', () => socket.destroy()));
      }
    },
    async endConnections() {
      const to = ['dst', '[::1]', 'dport', '=', `:${port}`];
      const { stdout } = await run('ss', ['--kill', '--no-header', '--tcp', ...to]);
      return stdout.split('\n').filter((line) => line !== '').length;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}
