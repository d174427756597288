// What a job's record and its host's status say together, in the words of the job's life.

import type { JobState, JobStatus } from '#layer0/host/wire';
import type { Job, JobSpec } from './wire.ts';

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

/** Jobs that replace one another: what `spread` spreads and what one-per-host allows once. */
export function groupOf(job: Pick<Job, 'app' | 'release' | 'type'>): string {
  return `${job.app}/${job.release}/${job.type}`;
}

/** Ports that a job takes from its host, as `80/tcp`. */
export function hostPortsOf(spec: JobSpec): string[] {
  if (spec.network !== 'host') return [];
  return spec.ports
    .filter(({ port }) => port !== 0)
    .map(({ port, protocol }) => `${port}/${protocol}`);
}
