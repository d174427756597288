// Gantry's containers outside of jobs: the host daemon, DNS, and what replaces them. Known by their names; the engine starts
// them again by itself.

import { text } from 'node:stream/consumers';
import type { Clock } from '#core/clock';
import { absentIsUndefined, ignore } from './containers.ts';
import { demultiplex } from './frames.ts';
import { createTransport } from './transport.ts';

export interface OwnContainer {
  name: string;
  image: string;
  command: string[];
  env: Record<string, string>;
  /** `source:target` or `source:target:ro`. */
  binds: string[];
  labels: Record<string, string>;
  /** Added to none. */
  capabilities: string[];
  /** It sees every process of the machine. */
  hasHostPids?: true;
}

export interface SeenContainer {
  /** As it was named when it was made. */
  image: string;
  isRunning: boolean;
  /** How often the engine started it again since somebody did. */
  restarts: number;
  labels: Record<string, string>;
  binds: string[];
}

export interface OwnContainers {
  /** Undefined when there is none of that name. */
  find(name: string): Promise<SeenContainer | undefined>;
  create(container: OwnContainer): Promise<void>;
  start(name: string): Promise<void>;
  /** SIGTERM, and SIGKILL ten seconds later; absent or stopped is no error. */
  stop(name: string): Promise<void>;
  rename(name: string, to: string): Promise<void>;
  /** Whether the engine starts it again, when it ends and at boot. */
  restarts(name: string, isAlways: boolean): Promise<void>;
  /** Absent is no error. */
  remove(name: string): Promise<void>;
  /** The last lines that it said. */
  tail(name: string, lines: number): Promise<string>;
  close(): void;
}

interface Inspected {
  Config: { Image: string; Labels?: Record<string, string> | null };
  HostConfig: { Binds?: string[] | null };
  State: { Running: boolean };
  RestartCount: number;
}

const stopGraceS = 10;

export function createOwnContainers(options: { socketPath: string; clock: Clock }): OwnContainers {
  const transport = createTransport(options);
  const post = (
    name: string,
    verb: string,
    rest: { query?: Record<string, string>; body?: unknown } = {},
  ) =>
    transport.json({
      method: 'POST',
      path: `/containers/${name}/${verb}`,
      attempt: `${verb} container ${name}`,
      ...rest,
    });
  return {
    async find(name) {
      const call = { method: 'GET', path: `/containers/${name}/json` } as const;
      const attempt = `inspect container ${name}`;
      const seen = await absentIsUndefined(transport.json<Inspected>({ ...call, attempt }));
      return (
        seen && {
          image: seen.Config.Image,
          isRunning: seen.State.Running,
          restarts: seen.RestartCount,
          labels: seen.Config.Labels ?? {},
          binds: seen.HostConfig.Binds ?? [],
        }
      );
    },
    async create(container) {
      const call = { method: 'POST', path: '/containers/create' } as const;
      const attempt = `create container ${container.name}`;
      const query = { name: container.name };
      await transport.json({ ...call, attempt, query, body: ownContainerBody(container) });
    },
    start: async (name) => void (await post(name, 'start')),
    async stop(name) {
      const query = { t: String(stopGraceS) };
      await post(name, 'stop', { query }).catch(ignore('engine.notFound'));
    },
    rename: async (name, to) => void (await post(name, 'rename', { query: { name: to } })),
    async restarts(name, isAlways) {
      await post(name, 'update', { body: { RestartPolicy: { Name: isAlways ? 'always' : 'no' } } });
    },
    async remove(name) {
      const call = { method: 'DELETE', path: `/containers/${name}` } as const;
      const query = { force: 1, v: 1 };
      const attempt = `remove container ${name}`;
      await transport.json({ ...call, attempt, query }).catch(ignore('engine.notFound'));
    },
    async tail(name, lines) {
      const query = { stdout: 1, stderr: 1, tail: lines };
      const call = { method: 'GET', path: `/containers/${name}/logs`, query } as const;
      const answer = await transport.open({ ...call, attempt: `read the log of ${name}` });
      return text(wordsOf(answer));
    },
    close: () => transport.close(),
  };
}

async function* wordsOf(answer: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const { data } of demultiplex(answer)) yield data;
}

/** The body of `POST /containers/create`. */
export function ownContainerBody(container: OwnContainer): Record<string, unknown> {
  return {
    Image: container.image,
    Cmd: container.command,
    Env: Object.entries(container.env).map(([name, value]) => `${name}=${value}`),
    Labels: container.labels,
    HostConfig: {
      NetworkMode: 'host',
      ...(container.hasHostPids ? { PidMode: 'host' } : {}),
      Binds: container.binds,
      CapDrop: ['ALL'],
      CapAdd: container.capabilities,
      SecurityOpt: ['no-new-privileges'],
      Init: true,
      RestartPolicy: { Name: 'always' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } },
    },
  };
}
