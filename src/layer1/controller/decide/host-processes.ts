// What runs on one machine, and of what is to leave it: why is it still there?

import type { JobStatus } from '#layer0/host/wire';
import { isEnded, stateOf } from '#layer0/scheduler/client';
import type { Job } from '#layer0/scheduler/wire';
import type { HostProcess } from '../api.ts';

export interface Seen {
  jobs: readonly Job[];
  status(job: string): JobStatus | undefined;
  /** Name of a machine. */
  nameOf(host: string): string;
  isDraining: boolean;
}

export function processesOn(host: string, seen: Seen): HostProcess[] {
  const replacements = new Map(
    seen.jobs.flatMap((job) =>
      job.replaces && job.desired === 'up' ? [[job.replaces.job, job] as const] : [],
    ),
  );
  return seen.jobs
    .filter((job) => job.host === host && !isEnded(job, seen.status(job.id)))
    .map((job) => ({
      id: job.id,
      app: job.appName,
      name: `${job.type}.${job.index}`,
      state: stateOf(job, seen.status(job.id)),
      isStaying: job.isOnePerHost === true,
      ...(seen.isDraining && !job.isOnePerHost
        ? { waitsFor: waitOf(job, replacements.get(job.id), seen) }
        : {}),
    }))
    .sort((a, b) => (a.app === b.app ? (a.name < b.name ? -1 : 1) : a.app < b.app ? -1 : 1));
}

function waitOf(job: Job, replacement: Job | undefined, seen: Seen): string {
  if (job.desired === 'down') return 'it ends: its last requests, and its grace';
  if (job.kind === 'ephemeral') return 'a one-off: it runs to its end';
  if (replacement) return waitFor(replacement, seen);
  const volume = job.spec.mounts.find((mount) => mount.volume !== undefined)?.volume;
  if (volume !== undefined)
    return `its volume ${volume} is on this machine and does not move: host remove --force gives both up`;
  return job.moveReason ?? 'its turn: one of a process type moves at a time';
}

function waitFor({ id, type, index, host = '' }: Job, { status, nameOf }: Seen): string {
  const name = `${type}.${index} on ${nameOf(host)}`;
  const now = status(id);
  if (now?.state === 'up' && now.isHealthy) return `${name} is healthy, and takes its place now`;
  const reason = now?.reason === undefined ? '' : `: ${now.reason}`;
  return `${name} to be healthy; it is ${now?.state ?? 'placed'}${reason}`;
}
