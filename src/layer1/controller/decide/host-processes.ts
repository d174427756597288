// What runs on one machine, and of what is to leave it: why is it still there?

import type { JobStatus } from '#layer0/host/wire';
import { isBound, isEnded, stateOf } from '#layer0/scheduler/client';
import type { Job } from '#layer0/scheduler/wire';
import type { HostProcess } from '../api.ts';
import { systemApp } from '../wire.ts';

export interface Seen {
  jobs: readonly Job[];
  status(job: string): JobStatus | undefined;
  /** Name of a machine. */
  nameOf(host: string): string;
  isDraining: boolean;
}

/** A drain leaves it where it is: it runs on every machine, or its volume is one of this machine. */
export function isStaying(job: Job): boolean {
  return job.isOnePerHost === true || hasVolumeHere(job);
}

export function hasVolumeHere(job: Job): boolean {
  return job.desired === 'up' && isBound(job);
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
      isStaying: isStaying(job),
      ...(hasVolumeHere(job) ? { volume: volumeOf(job) } : {}),
      ...(seen.isDraining && !isStaying(job)
        ? { waitsFor: waitOf(job, replacements.get(job.id), seen) }
        : {}),
    }))
    .sort((a, b) => (a.app === b.app ? (a.name < b.name ? -1 : 1) : a.app < b.app ? -1 : 1));
}

function volumeOf({ appName, type, spec }: Job): string {
  const names = spec.mounts.flatMap(({ volume }) => (volume === undefined ? [] : [volume]));
  const isGit = appName === systemApp && type === 'git-receiver';
  const use = isGit ? ' (what was pushed: without it no push works)' : '';
  return `${names.join(', ')}${use}`;
}

function waitOf(job: Job, replacement: Job | undefined, seen: Seen): string {
  if (job.desired === 'down') return 'it ends now: its last requests, then its grace';
  if (job.kind === 'ephemeral') return 'a one-off: it runs to its end';
  if (replacement) return waitFor(replacement, seen);
  if (job.moveReason !== undefined) return `it has no other place: ${job.moveReason}`;
  return 'it waits for its turn: one of a process type moves at a time';
}

function waitFor({ id, type, index, host = '' }: Job, { status, nameOf }: Seen): string {
  const name = `${type}.${index} on ${nameOf(host)}`;
  const now = status(id);
  if (now?.state === 'up' && now.isHealthy) return `${name} is healthy, and takes its place now`;
  const state = now?.state ?? 'placed';
  const reason = now?.reason === undefined || now.reason === state ? '' : ` (${now.reason})`;
  return `${name} takes its place when it is healthy; that one is ${state}${reason}`;
}
