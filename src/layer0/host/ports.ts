// Hands out loopback ports: never one that a job of ours has, nor one that somebody else listens on. Each life begins anywhere:
// after a power cut a router leads by what it wrote down before, and should meet nobody there rather than another process.

import { createServer } from 'node:net';
import type { Random } from '#core/random';
import type { PortBook } from './act/outcome.ts';
import { choosePort } from './decide/choose-port.ts';
import { hostErrors } from './errors.ts';

interface Range {
  portMin: number;
  portMax: number;
}

export type IsPortFree = (port: number) => Promise<boolean>;

export function createPortBook(
  { portMin, portMax }: Range,
  random: Random,
  isFree: IsPortFree = isLoopbackFree,
): PortBook {
  const byJob = new Map<string, Record<string, number>>();
  let last = portMin + Math.floor(random() * (portMax - portMin + 1));

  async function next(): Promise<number> {
    const taken = new Set([...byJob.values()].flatMap((ports) => Object.values(ports)));
    for (;;) {
      const port = choosePort({ min: portMin, max: portMax, taken, last });
      if (port === undefined)
        throw hostErrors.noFreePort(
          `every port from ${portMin} to ${portMax} is taken: widen GANTRY_HOST_PORT_MAX`,
        );
      last = port;
      if (await isFree(port)) return port;
      taken.add(port);
    }
  }

  return {
    async reserve(jobId, names) {
      const ports: Record<string, number> = { ...byJob.get(jobId) };
      byJob.set(jobId, ports);
      for (const name of names) ports[name] ??= await next();
      return { ...ports };
    },
    note: (jobId, ports) => void byJob.set(jobId, { ...ports }),
    release: (jobId) => void byJob.delete(jobId),
  };
}

function isLoopbackFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () =>
      server.close(() => resolve(true)),
    );
  });
}
