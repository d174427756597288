// One look at a process: does it accept a connection, answer 200-399, or does a command in it succeed?
// Each probe ends within its time limit and leaves nothing open.

import { connect } from 'node:net';
import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';
import { request } from '#core/node-http';
import type { JobSpec } from '#layer0/scheduler/wire';
import type { Runtime } from '../runtime/runtime.ts';

export type HealthCheck = JobSpec['health'];

export interface ProbeTarget {
  container: string;
  address?: string;
  port?: number;
}

/** Undefined: healthy. Otherwise what went wrong, in a few words: `connection refused`. */
export type ProbeResult = string | undefined;
export type Probe = (target: ProbeTarget, check: HealthCheck) => Promise<ProbeResult>;

const agentName = 'gantry-health';

export function createProbe(runtime: Pick<Runtime, 'exec' | 'execExitCode'>, clock: Clock): Probe {
  return (target, check) => {
    const { address, port } = target;
    if (check.type === 'command') return probeCommand(runtime, { target, check, clock });
    if (address === undefined || port === undefined) return Promise.resolve(undefined);
    switch (check.type) {
      case 'none':
        return Promise.resolve(undefined);
      case 'tcp':
        return probeTcp({ address, port, timeoutMs: check.timeoutMs, clock });
      case 'http':
        return probeHttp({ address, port, timeoutMs: check.timeoutMs, clock }, check.path ?? '/');
    }
  };
}

/** Is there anything to look at? Without, running is healthy. */
export function isProbed(target: ProbeTarget, check: HealthCheck): boolean {
  if (check.type === 'none') return false;
  if (check.type === 'command') return true;
  return target.port !== undefined && target.address !== undefined;
}

interface Endpoint {
  address: string;
  port: number;
  timeoutMs: number;
  clock: Clock;
}

function probeTcp({ address, port, timeoutMs, clock }: Endpoint): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const end = (result: ProbeResult) => {
      timer.cancel();
      socket.destroy();
      resolve(result);
    };
    const timer = clock.timer(timeoutMs, () => end(late(timeoutMs)));
    socket.once('connect', () => end(undefined));
    socket.once('error', (error) => end(wordsOf(error)));
  });
}

function probeHttp(
  { address, port, timeoutMs, clock }: Endpoint,
  path: string,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const headers = { host: `${address}:${port}`, 'user-agent': agentName, connection: 'close' };
    const call = request({ host: address, port, path, headers, agent: false });
    const end = (result: ProbeResult) => {
      timer.cancel();
      call.destroy();
      resolve(result);
    };
    const timer = clock.timer(timeoutMs, () => end(late(timeoutMs)));
    call.once('response', ({ statusCode = 0 }) =>
      end(statusCode >= 200 && statusCode < 400 ? undefined : `status ${statusCode}`),
    );
    call.on('error', (error) => end(wordsOf(error)));
    call.end();
  });
}

interface CommandProbe {
  target: ProbeTarget;
  check: HealthCheck;
  clock: Clock;
}

async function probeCommand(
  runtime: Pick<Runtime, 'exec' | 'execExitCode'>,
  { target, check, clock }: CommandProbe,
): Promise<ProbeResult> {
  const command = check.command ?? [];
  try {
    const { execId, socket } = await runtime.exec(target.container, {
      command,
      tty: false,
      env: {},
    });
    const isLate = await new Promise<boolean>((resolve) => {
      const timer = clock.timer(check.timeoutMs, () => {
        socket.destroy();
        resolve(true);
      });
      socket.resume();
      socket.once('close', () => {
        timer.cancel();
        resolve(false);
      });
      socket.once('end', () => socket.destroy());
      socket.on('error', () => socket.destroy());
    });
    if (isLate) return late(check.timeoutMs);
    const exitCode = await runtime.execExitCode(execId);
    return exitCode === 0 ? undefined : `exit ${exitCode}`;
  } catch (error) {
    return toAppError(error).message;
  }
}

function late(timeoutMs: number): string {
  return `no answer within ${timeoutMs / 1000} s`;
}

function wordsOf(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'connection refused';
    case 'ECONNRESET':
      return 'connection reset';
    case 'EHOSTUNREACH':
      return 'no route to its address';
    case 'HPE_INVALID_CONSTANT':
      return 'the answer is not HTTP';
    default:
      return error.message || String(error.code);
  }
}
