// The Docker Engine as a Runtime. Everything it needs is in docker/*; this file only joins it.

import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import type { Runtime } from '../runtime.ts';
import { formatApiVersion } from './api-version.ts';
import { createContainerCalls } from './containers.ts';
import { containerEvents } from './events.ts';
import { createImageCalls } from './images.ts';
import { createNetworkCalls } from './networks.ts';
import { createStreamCalls } from './streams.ts';
import { createTransport } from './transport.ts';

export interface DockerRuntimeOptions {
  /** Looked up at every connection: mount the folder, not the socket, and a restarted engine is found again. */
  socketPath: string;
  clock: Clock;
  random: Random;
  log: Log;
}

/** Does not connect: an engine that is away is engine.unavailable at the first call. */
export function createDockerRuntime(options: DockerRuntimeOptions): Runtime & { close(): void } {
  const { clock, random, log } = options;
  const transport = createTransport({ socketPath: options.socketPath, clock });
  const engine = { transport, clock };
  const containers = createContainerCalls(engine);
  return {
    async info() {
      const call = {
        method: 'GET',
        path: '/info',
        attempt: 'ask the engine about itself',
      } as const;
      const info = await transport.json<{
        ServerVersion: string;
        DockerRootDir: string;
        MemTotal: number;
        NCPU: number;
      }>(call);
      return {
        version: info.ServerVersion,
        apiVersion: formatApiVersion(await transport.apiVersion()),
        dataRoot: info.DockerRootDir,
        memoryBytes: info.MemTotal,
        cpus: info.NCPU,
      };
    },
    ...containers,
    ...createStreamCalls(engine, containers.inspect),
    ...createNetworkCalls(transport),
    ...createImageCalls(engine),
    events: (labels, signal) => containerEvents({ transport, clock, random, log }, labels, signal),
    close: () => transport.close(),
  };
}
