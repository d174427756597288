// What a job's record and its host's status say together, in the words of the job's life.

import type { JobState, JobStatus } from '#layer0/host/wire';
import type { Constraint, Job, JobSpec } from './wire.ts';

/** The one state that people see: the scheduler's word until the host has one. */
export function stateOf(job: Job, status: JobStatus | undefined): JobState {
  if (status) return status.state;
  return job.host === undefined ? 'pending' : 'placed';
}

/** Nothing of it runs and nothing of it will: its place and its number are free. */
export function isEnded(job: Job, status: JobStatus | undefined): boolean {
  if (!status) return false;
  if (status.state === 'down') return true;
  return status.state === 'failed' && job.spec.restart === 'never';
}

/** How long a job is healthy before anything is built on that: many that crash are healthy first. */
export const moveSteadyMs = 3_000;

interface Health {
  status: JobStatus | undefined;
  healthySince: number | undefined;
  sickSince: number | undefined;
}

/** Both by the clock of `nowMs`; `before` is the status before this one. */
export function healthOf(
  { status, healthySince, sickSince }: Health,
  before: JobStatus | undefined,
  nowMs: number,
): Omit<Health, 'status'> {
  const wasSteady = healthySince !== undefined && nowMs - healthySince >= moveSteadyMs;
  const sickBefore = wasSteady ? undefined : sickSince;
  if (status?.state !== 'up' || !status.isHealthy)
    return { healthySince: undefined, sickSince: sickBefore ?? nowMs };
  const isSame = before?.attempt === status.attempt;
  return { healthySince: (isSame ? healthySince : undefined) ?? nowMs, sickSince: sickBefore };
}

/** Jobs that replace one another: what `spread` spreads and what one-per-host allows once. */
export function groupOf(job: Pick<Job, 'app' | 'release' | 'type'>): string {
  return `${job.app}/${job.release}/${job.type}`;
}

/** The same process type of an app, whichever the release: what affinity is about. */
export function kindOf({ app, type }: { app: string; type: string }): string {
  return `${app}/${type}`;
}

/** Its volume is on its host, and stays there. */
export function isBound({ spec }: Pick<Job, 'spec'>): boolean {
  return spec.mounts.some(({ volume }) => volume !== undefined);
}

export function matchesTags(has: Record<string, string>, wanted: Record<string, string>): boolean {
  for (const name in wanted) if (has[name] !== wanted[name]) return false;
  return true;
}

export function matchesConstraint(has: Record<string, string>, constraint: Constraint): boolean {
  const value = has[constraint.tag];
  switch (constraint.operator) {
    case 'exists':
      return value !== undefined;
    case 'absent':
      return value === undefined;
    case 'in':
      return value !== undefined && (constraint.values ?? []).includes(value);
    case 'not-in':
      return value === undefined || !(constraint.values ?? []).includes(value);
  }
}

/** The reason of a job that a scheduler of somebody's own is to place. */
export function waitsFor(scheduler: string): string {
  return `waits for scheduler ${scheduler}`;
}

/** Ports that a job takes from its host, as `80/tcp`. */
export function hostPortsOf(spec: JobSpec): string[] {
  return spec.ports.flatMap(({ port, hostPort, protocol }) => {
    const taken = spec.network === 'host' ? port : hostPort;
    return taken ? [`${taken}/${protocol}`] : [];
  });
}
