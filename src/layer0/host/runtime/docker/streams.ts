// The live streams of a process: attach, exec and the size of its terminal.

import type { Duplex } from 'node:stream';
import { engineErrors } from '../errors.ts';
import type { AttachStreams, Runtime } from '../runtime.ts';
import type { Engine } from './containers.ts';
import type { EngineTransport } from './transport.ts';

type StreamCalls = Pick<Runtime, 'attach' | 'exec' | 'execExitCode' | 'resize'>;

/** The engine closes an exec's streams a moment before it knows the exit code. */
const exitCodePollMs = 20;
const exitCodeTries = 500;

interface AttachDeps {
  transport: EngineTransport;
  inspect: Runtime['inspect'];
}

export function createStreamCalls(
  { transport, clock }: Engine,
  inspect: Runtime['inspect'],
): StreamCalls {
  return {
    attach: (id, streams) => attach({ transport, inspect }, id, streams),
    async exec(id, options) {
      const attempt = `run ${options.command[0] ?? 'a command'} in container ${id}`;
      const created = await transport.json<{ Id: string }>({
        method: 'POST',
        path: `/containers/${id}/exec`,
        attempt,
        body: {
          Cmd: options.command,
          Env: Object.entries(options.env).map(([name, value]) => `${name}=${value}`),
          Tty: options.tty,
          AttachStdin: true,
          AttachStdout: true,
          AttachStderr: true,
          ...(options.user === undefined ? {} : { User: options.user }),
        },
      });
      const path = `/exec/${created.Id}/start`;
      const body = { Detach: false, Tty: options.tty };
      const socket = await transport.hijack({ method: 'POST', path, attempt, body });
      return { execId: created.Id, socket };
    },
    async execExitCode(execId) {
      const attempt = `read the exit code of exec ${execId}`;
      const call = { method: 'GET', path: `/exec/${execId}/json`, attempt } as const;
      for (let tries = 0; tries < exitCodeTries; tries++) {
        const { Running, ExitCode } = await transport.json<{
          Running: boolean;
          ExitCode: number | null;
        }>(call);
        if (!Running && ExitCode !== null) return ExitCode;
        await clock.sleep(exitCodePollMs);
      }
      throw engineErrors.timeout(`could not ${attempt}: its process is still running`);
    },
    async resize(target, rows, cols) {
      const path = 'exec' in target ? `/exec/${target.exec}` : `/containers/${target.container}`;
      const query = { h: rows, w: cols };
      const attempt = 'resize a terminal';
      await transport.json({ method: 'POST', path: `${path}/resize`, attempt, query });
    },
  };
}

/** The engine never ends a live attach to a container that has already ended: such a one is given its log only. */
async function attach(deps: AttachDeps, id: string, streams: AttachStreams): Promise<Duplex> {
  if (await hasEnded(deps, id)) return attachOnce(deps, id, streams, false);
  const socket = await attachOnce(deps, id, streams, true);
  if (!streams.logs || !(await hasEnded(deps, id))) return socket;
  socket.destroy();
  return attachOnce(deps, id, streams, false);
}

async function hasEnded({ inspect }: AttachDeps, id: string): Promise<boolean> {
  return (await inspect(id))?.state === 'exited';
}

async function attachOnce(
  { transport }: AttachDeps,
  id: string,
  streams: AttachStreams,
  isLive: boolean,
): Promise<Duplex> {
  const query = {
    stream: isLive ? 1 : 0,
    stdin: isLive && streams.stdin ? 1 : 0,
    stdout: streams.stdout ? 1 : 0,
    stderr: streams.stderr ? 1 : 0,
    logs: streams.logs ? 1 : 0,
  };
  const path = `/containers/${id}/attach`;
  const attempt = `attach to container ${id}`;
  if (!isLive && !streams.logs)
    throw engineErrors.conflict(`could not ${attempt}: it has ended; ask for its log instead`);
  return transport.hijack({ method: 'POST', path, attempt, query });
}
