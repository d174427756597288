// Everything that a decision about one app looks at, as plain data.

import type { JobState } from '#layer0/host/wire';
import type { App, Deployment } from '../wire.ts';
import { wantedQuantities } from './job-spec.ts';
import type { Counts } from './rollout.ts';

/** What a decision needs to know of a release's process types; read from the release. */
export interface ReleaseShape {
  id: string;
  version: number;
  types: Readonly<Record<string, TypeShape>>;
}

interface TypeShape {
  isOnePerHost: boolean;
  isSingleton?: boolean;
  /** It has ports of its machine, which its successor cannot have beside it. */
  hasHostPorts?: boolean;
  /** So many run where there are so many machines, and never fewer than asked for. */
  copies?: number;
  startTimeoutMs: number;
  hasHealthCheck: boolean;
}

export interface SeenFormation {
  release: string;
  version: number;
  priority: number;
  quantities: Readonly<Record<string, number>>;
  onePerHost: readonly string[];
}

export interface SeenJob {
  id: string;
  kind: 'service' | 'ephemeral';
  release: string;
  type: string;
  /** `web.1` */
  name: string;
  isWanted: boolean;
  state: JobState;
  isHealthy: boolean;
  attempt: number;
  reason?: string;
  startedAt?: number;
  /** Up and healthy without a break, as the leader saw it; absent where nobody measures. */
  healthyForMs?: number;
}

export interface AppView {
  app: App;
  /** Unfinished ones, in the order of their creation. */
  deployments: readonly Deployment[];
  formations: readonly SeenFormation[];
  jobs: readonly SeenJob[];
  /** Of the current release, of those that unfinished deployments name, and of those with a formation. */
  releases: ReadonlyMap<string, ReleaseShape>;
  /** The release that is to be rolled out next has an image that no second machine holds yet. */
  isImageOnItsWay?: boolean;
  /** How many machines are alive. */
  hosts: number;
  /** How many belong to the cluster: one that is away is no reason to want fewer copies, least of all here. */
  machines: number;
  now: number;
}

/**
 * A process without a health check counts as healthy once it has run this long without an exit, or at once beside another one
 * of its release and type that has: they are the same program.
 */
export const uncheckedMs = 3_000;

/** Failed attempts of one job that end a deployment. */
export const maxFailedAttempts = 3;

export function failedAttempts(job: Pick<SeenJob, 'attempt' | 'state'>): number {
  return job.attempt - 1 + (job.state === 'failed' ? 1 : 0);
}

/** As the leader saw it, or by the clock of its machine: a new leader saw little, and a clock may be ahead. */
function ranForMs({ startedAt, healthyForMs = 0 }: SeenJob, now: number): number {
  return Math.max(healthyForMs, startedAt === undefined ? 0 : now - startedAt);
}

export interface Health {
  isHealthy(job: SeenJob): boolean;
  /** Healthy for `steadyMs`: what a rollout builds on. Many a process that crashes is healthy for a moment first. */
  isSteady(job: SeenJob, steadyMs: number): boolean;
  /** How long until a job that is up may be steady, milliseconds; 0 or less when it is. */
  steadyInMs(job: SeenJob, steadyMs: number): number;
}

export function healthOf({ jobs, releases, now }: AppView): Health {
  const kindOf = ({ release, type }: SeenJob) => `${release}/${type}`;
  const isUp = ({ state, isHealthy }: SeenJob) => state === 'up' && isHealthy;
  const hasRun = (job: SeenJob) => ranForMs(job, now) >= uncheckedMs;
  const proven = new Set(jobs.filter((job) => isUp(job) && hasRun(job)).map(kindOf));
  const isProven = (job: SeenJob) =>
    releases.get(job.release)?.types[job.type]?.hasHealthCheck !== false || proven.has(kindOf(job));
  const isHealthy = (job: SeenJob) => isUp(job) && isProven(job);
  const steadyInMs = (job: SeenJob, steadyMs: number) =>
    isProven(job) ? steadyMs - (job.healthyForMs ?? 0) : uncheckedMs - ranForMs(job, now);
  return {
    isHealthy,
    isSteady: (job, steadyMs) => isHealthy(job) && steadyInMs(job, steadyMs) <= 0,
    steadyInMs,
  };
}

/** The counts of one release's formation; all zero where it has none. With `steadyMs` only steady jobs are healthy. */
export function countsOf(view: AppView, release: string, steadyMs = 0): Counts {
  const formation = view.formations.find((other) => other.release === release);
  const { isSteady } = healthOf(view);
  const counts: Record<string, { quantity: number; live: number; healthy: number }> = {};
  for (const [type, quantity] of Object.entries(formation?.quantities ?? {}))
    counts[type] = { quantity, live: 0, healthy: 0 };
  for (const job of view.jobs) {
    if (job.release !== release || job.kind !== 'service' || !job.isWanted) continue;
    const count = counts[job.type] ?? { quantity: 0, live: 0, healthy: 0 };
    counts[job.type] = count;
    count.live++;
    if (isSteady(job, steadyMs)) count.healthy++;
  }
  for (const type of formation?.onePerHost ?? []) {
    const count = counts[type];
    if (count) counts[type] = inSets(count, view.hosts);
  }
  return counts;
}

/** One-per-host types as whole sets, so that a step moves all hosts together. */
function inSets(count: { quantity: number; live: number; healthy: number }, hosts: number) {
  const isWhole = hosts > 0 && count.healthy >= hosts;
  return {
    quantity: Math.min(1, count.quantity),
    live: Math.min(1, count.live),
    healthy: isWhole ? 1 : 0,
  };
}

export function wantedOf(view: AppView, release: ReleaseShape): Record<string, number> {
  const wanted = wantedQuantities(view.app, Object.keys(release.types));
  for (const [type, { isOnePerHost, isSingleton, copies = 1 }] of Object.entries(release.types)) {
    const asked = wanted[type] ?? 0;
    if (isOnePerHost || isSingleton) wanted[type] = Math.min(1, asked);
    else if (asked > 0) wanted[type] = Math.max(asked, Math.min(copies, view.machines));
  }
  return wanted;
}
