// What is written on a container: enough to adopt it after a restart without asking anybody.

import type { Job } from '#layer0/scheduler/wire';
import type { Container } from './runtime/runtime.ts';

export const labels = {
  cluster: 'gantry.cluster',
  incarnation: 'gantry.incarnation',
  job: 'gantry.job',
  app: 'gantry.app',
  appName: 'gantry.app-name',
  type: 'gantry.type',
  index: 'gantry.index',
  attempt: 'gantry.attempt',
  release: 'gantry.release',
  /** JSON of port name to number: what a host-network process was told to listen on. */
  ports: 'gantry.ports',
} as const;

export function containerName(job: Job, attempt: number): string {
  return `gantry-${job.appName}-${job.type}-${job.index}-${job.id.slice(-6)}-${attempt}`;
}

export function attemptOf(container: Container): number {
  const attempt = Number(container.labels[labels.attempt]);
  return Number.isInteger(attempt) && attempt > 0 ? attempt : 1;
}

export function portsOf(container: Container): Record<string, number> | undefined {
  const text = container.labels[labels.ports];
  if (text === undefined) return undefined;
  const ports: unknown = JSON.parse(text);
  if (typeof ports !== 'object' || ports === null) return undefined;
  return Object.fromEntries(
    Object.entries(ports).filter((pair): pair is [string, number] => typeof pair[1] === 'number'),
  );
}

/** Discovery's name of a job: `web.shop`, known from its record or from its container. */
export function serviceOf(source: Job | Container): string {
  if ('spec' in source) return `${source.type}.${source.appName}`;
  return `${source.labels[labels.type]}.${source.labels[labels.appName]}`;
}
