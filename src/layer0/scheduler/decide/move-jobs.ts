// Which job of a process type leaves its host next? One at a time: another takes its place, and is healthy, before it stops;
// one that is sick where it is serves nobody, and waits for nothing but a place.
// Reasons to leave are an operator's: the host is being drained, or the app is to be spread evenly again.

import type { ClusterState, KnownJob } from '../cluster-state.ts';
import { isBound, moveSteadyMs } from '../state.ts';
import { hasBetterPlace } from './better-place.ts';
import type { PlanBoard } from './plan-board.ts';
import type { PlacementLimits } from './steps.ts';

type Reason = NonNullable<KnownJob['job']['replaces']>['because'];

export interface Group {
  /** All of one formation and type that should run. */
  present: KnownJob[];
  /** Of these, those that wait to take the place of another one that is here. */
  spares: Map<string, KnownJob>;
  /** The others: what quantities count. */
  counted: KnownJob[];
}

export function groupJobs(present: KnownJob[]): Group {
  const isAnySpare = present.some(({ job }) => job.replaces !== undefined);
  if (!isAnySpare) return { present, spares: new Map(), counted: present };
  const here = new Map(present.map((known) => [known.job.id, known]));
  const spares = new Map<string, KnownJob>();
  const counted: KnownJob[] = [];
  for (const known of present) {
    const { job = '' } = known.job.replaces ?? {};
    const replaced = here.get(job);
    // A drain that is over makes it one like any other: what is most useful stays.
    const isMoving = isStillAsked(known.job, replaced);
    // A drain that was over and is back may find that a rebalance made another one meanwhile.
    if (replaced && isMoving && !spares.has(job)) spares.set(job, known);
    else counted.push(known);
  }
  return { present, spares, counted };
}

function isStillAsked({ replaces }: KnownJob['job'], replaced: KnownJob | undefined): boolean {
  if (replaces?.because === 'rebalance') return true;
  const { isDraining = false, drainSince } = replaced?.host ?? {};
  return isDraining && (replaces?.drainSince ?? drainSince) === drainSince;
}

/** A replacement that had to leave itself, or may be lost: it is given up, but where it alone is healthy. */
export function isPointless({ host, status }: KnownJob, replaced: KnownJob): boolean {
  const isUnsure = host?.isDraining === true || host?.isAlive === false;
  return isUnsure && (!isHealthy(status) || isHealthy(replaced.status));
}

function isHealthy(status: KnownJob['status']): boolean {
  return status?.state === 'up' && status.isHealthy;
}

/** Milliseconds until the replacement has been healthy for long enough; undefined while it is not healthy. */
export function takesOverInMs(
  { healthySince, host }: KnownJob,
  monotonicMs: number,
): number | undefined {
  // Nobody hears of it now: what it was is no reason to stop another.
  if (healthySince === undefined || host?.isAlive === false) return undefined;
  return Math.max(0, healthySince + moveSteadyMs - monotonicMs);
}

/** Milliseconds until a job has been sick for longer than it may take to start; undefined while it may be well. */
export function givenUpInMs(
  { job, host, healthySince, sickSince }: KnownJob,
  monotonicMs: number,
): number | undefined {
  if (healthySince !== undefined || sickSince === undefined || host?.isAlive === false)
    return undefined;
  return Math.max(0, sickSince + job.spec.health.startTimeoutMs - monotonicMs);
}

export interface Leaving {
  known: KnownJob;
  because: Reason;
}

export interface Surroundings {
  state: ClusterState;
  board: PlanBoard;
  limits: PlacementLimits;
  /** Some of the group was told to stop and has not. */
  isAnyEnding: boolean;
}

/** The one that goes next, were there a place: those of drained hosts before those that would only be better elsewhere. */
export function nextToLeave(
  held: readonly KnownJob[],
  { state, board, limits, isAnyEnding }: Surroundings,
): Leaving | undefined {
  const drained =
    state.draining.size === 0
      ? undefined
      : oldest(held.filter(({ host, job }) => host?.isDraining && !isBound(job)));
  if (drained) return { known: drained, because: 'drain' };
  const [first] = held;
  if (!first || !state.rebalances.has(first.job.app) || first.job.isSingleton) return undefined;
  // What is about to end still counts where it is.
  if (isAnyEnding) return undefined;
  const known = oldest(held.filter((one) => hasBetterPlace(board, one, limits)));
  return known && { known, because: 'rebalance' };
}

function oldest(jobs: readonly KnownJob[]): KnownJob | undefined {
  return [...jobs].sort((a, b) => a.job.index - b.job.index)[0];
}
