// What should the controller do next for one app? A pure function from what is seen to steps; the loop takes them and looks again.
//
// The order of things, when several are wanted at once:
//   a delete goes before every deployment; the newest deployment goes before every older one, also before one that rolls back;
//   one that leads to a version below the current one is over;
//   a deployment that began with quantities a, b, c follows them when they change on the way.

import type { Deployment } from '../wire.ts';
import {
  type AppView,
  countsOf,
  failedAttempts,
  healthOf,
  maxFailedAttempts,
  type ReleaseShape,
  type SeenFormation,
  type SeenJob,
  wantedOf,
} from './app-view.ts';
import { decideDeletion } from './deletion.ts';
import { fallbackOf } from './fallback.ts';
import { priorityOf } from './job-spec.ts';
import { type Counts, planRollout, type Quantities } from './rollout.ts';

export type Step =
  | { type: 'supersede'; deployment: string; reason: string; isFailure: boolean }
  | { type: 'begin'; deployment: string }
  /** It has nothing to go back to yet, and this release is healthy. */
  | { type: 'note-fallback'; deployment: string; release: string; version: number }
  /** With a deployment, the step counts as its progress. */
  | { type: 'scale'; release: string; quantities: Quantities; deployment?: string }
  /** The app's priority is another than its formation's. */
  | { type: 'prioritize'; release: string }
  | { type: 'remove-formation'; release: string }
  | { type: 'roll-back'; deployment: string; reason: string }
  | { type: 'fail'; deployment: string; reason: string }
  | { type: 'complete'; deployment: string }
  | { type: 'stop-jobs'; jobs: string[] }
  | { type: 'purge' };

export interface Decision {
  steps: Step[];
  /** Look again this soon although nothing may have changed: a time limit is running. */
  againMs?: number;
}

export interface DecideOptions {
  deploySlackMs: number;
  /** How long an instance of the release that is rolled out must have been healthy. */
  deploySteadyMs: number;
}

export function decideApp(view: AppView, options: DecideOptions): Decision {
  if (view.app.isDeleting) return decideDeletion(view);
  const misranked = view.formations.filter(({ priority }) => priority !== priorityOf(view.app));
  if (misranked.length > 0)
    return { steps: misranked.map(({ release }) => ({ type: 'prioritize', release })) };
  const current = view.app.currentVersion ?? 0;
  const newest = view.deployments.findLast(({ newVersion }) => newVersion > current);
  const others = view.deployments.filter((deployment) => deployment !== newest);
  if (others.length > 0)
    return { steps: others.map((old) => supersede(old, newest?.newVersion ?? current)) };
  if (!newest) return settle(view, options);
  if (newest.state === 'pending' && view.isImageOnItsWay) return { steps: [] };
  if (newest.state === 'pending') return { steps: [{ type: 'begin', deployment: newest.id }] };
  const fallback = fallbackOf(view, newest, options.deploySteadyMs);
  if (fallback) return { steps: [{ type: 'note-fallback', deployment: newest.id, ...fallback }] };
  return newest.state === 'rolling-back'
    ? decideRollback(view, newest, options)
    : decideForward(view, newest, options);
}

function supersede(old: Deployment, version: number): Step {
  const isFailure = old.state === 'rolling-back';
  const reason = isFailure
    ? `${old.reason ?? 'it failed'}; v${version} follows`
    : `v${version} came before v${old.newVersion} was complete`;
  return { type: 'supersede', deployment: old.id, isFailure, reason };
}

/**
 * No deployment: the current release has what people want, and nothing else runs, but what is healthy of a release that
 * failed while the current one is not whole: as on the way back, which may have run out of time.
 */
function settle(view: AppView, options: DecideOptions): Decision {
  const current = view.app.currentRelease;
  const shape = current === undefined ? undefined : view.releases.get(current);
  if (current !== undefined && !shape) return { steps: [] };
  const others = view.formations.filter(({ release }) => release !== current);
  const isAsked = ({ quantities }: SeenFormation) => Object.values(quantities).some((many) => many);
  if (shape && others.some(isAsked)) {
    const { steps } = move(view, wayBack, shape, options);
    return { steps, againMs: nextLook(view, shape, options) };
  }
  const steps: Step[] = [];
  if (shape) {
    const wanted = wantedOf(view, shape);
    const formation = view.formations.find(({ release }) => release === shape.id);
    if (!formation || !isSame(formation.quantities, wanted))
      steps.push({ type: 'scale', release: shape.id, quantities: wanted });
  }
  for (const { release } of others) steps.push({ type: 'remove-formation', release });
  return { steps };
}

function decideForward(view: AppView, deployment: Deployment, options: DecideOptions): Decision {
  const shape = view.releases.get(deployment.newRelease);
  if (!shape) return { steps: [] };
  const failure = failureOf(view, shape, deployment, options);
  if (failure !== undefined)
    return { steps: [{ type: 'roll-back', deployment: deployment.id, reason: failure }] };
  return finish(view, deployment, shape, options);
}

function decideRollback(view: AppView, deployment: Deployment, options: DecideOptions): Decision {
  const late = deployment.oldRelease === undefined && view.releases.get(deployment.newRelease);
  // It came too late, and there is nothing better to go back to: it stays, unless it turns out not to last.
  if (late && isWanted(view, late) && isHealthyWhole(view, late))
    return finish(view, deployment, late, options);
  const shape =
    deployment.oldRelease === undefined ? undefined : view.releases.get(deployment.oldRelease);
  const reason = deployment.reason ?? 'it failed';
  if (deployment.oldRelease !== undefined && !shape) return { steps: [] };
  const { steps, isDone } = move(view, deployment, shape, options);
  if (isDone) return { steps: [{ type: 'fail', deployment: deployment.id, reason }] };
  if (shape && isOver(view, shape, deployment, options) && !isHealthyWhole(view, shape)) {
    const also = `${reason}; v${shape.version} is not healthy either: ${sickest(view, shape)}`;
    const kept = isAnyHealthy(view, deployment.newRelease)
      ? `; what is healthy of v${deployment.newVersion} stays until it is`
      : '';
    return { steps: [{ type: 'fail', deployment: deployment.id, reason: `${also}${kept}` }] };
  }
  return { steps, againMs: shape ? nextLook(view, shape, options) : longestLookMs };
}

function finish(
  view: AppView,
  deployment: Deployment,
  shape: ReleaseShape,
  options: DecideOptions,
): Decision {
  const { steps, isDone } = move(view, deployment, shape, options);
  if (isDone) return { steps: [{ type: 'complete', deployment: deployment.id }] };
  return { steps, againMs: nextLook(view, shape, options) };
}

/** What moves: a deployment, or an app without one that is not yet what people want. */
type Way = Pick<Deployment, 'state' | 'strategy' | 'batchSize'> & { id?: string };

const wayBack: Way = { state: 'rolling-back', strategy: 'all-at-once', batchSize: 1 };

/** One move of the rollout as steps: formations that change, those that grow before those that shrink. */
function move(
  view: AppView,
  way: Way,
  target: ReleaseShape | undefined,
  { deploySteadyMs }: DecideOptions,
) {
  const isRollback = way.state === 'rolling-back';
  // On the way back what serves stays as long as it does, steady or not.
  const othersSteadyMs = isRollback ? 0 : deploySteadyMs;
  const others = new Map<string, Counts>();
  for (const { release } of view.formations)
    if (release !== target?.id) others.set(release, countsOf(view, release, othersSteadyMs));
  const plan = planRollout({
    wanted: target ? wantedOf(view, target) : {},
    target: target ? countsOf(view, target.id, deploySteadyMs) : {},
    others,
    strategy: way.strategy,
    batchSize: way.batchSize,
    isRollback,
    singletons: singletonsOf(target),
    exclusive: exclusiveOf(view, target),
  });
  const steps: Step[] = [];
  const add = (release: string, quantities: Quantities) => {
    const formation = view.formations.find((other) => other.release === release);
    if (formation && isSame(formation.quantities, quantities)) return;
    const deployment = way.id === undefined ? {} : { deployment: way.id };
    steps.push({ type: 'scale', release, quantities, ...deployment });
  };
  if (target) add(target.id, plan.target);
  for (const [release, quantities] of plan.others) add(release, quantities);
  return { steps, isDone: plan.isDone };
}

/** The sentence that ends a deployment, or undefined while there is hope. */
function failureOf(
  view: AppView,
  shape: ReleaseShape,
  deployment: Deployment,
  options: DecideOptions,
): string | undefined {
  if (isHealthyWhole(view, shape)) return undefined;
  const { isHealthy } = healthOf(view);
  for (const job of wantedJobs(view, shape)) {
    const failures = failedAttempts(job);
    // One that is healthy has hope: it fails once more, or gets steady.
    if (failures >= maxFailedAttempts && !isHealthy(job))
      return `${job.name} failed ${failures} times: ${job.reason ?? 'no reason was given'}`;
  }
  if (!isOver(view, shape, deployment, options)) return undefined;
  const waitedS = Math.round((view.now - deployment.progressAt) / 1000);
  return `v${shape.version} was not healthy within ${waitedS} s: ${sickest(view, shape)}`;
}

function isOver(
  view: AppView,
  shape: ReleaseShape,
  deployment: Deployment,
  { deploySlackMs }: DecideOptions,
): boolean {
  const longest = Math.max(0, ...Object.values(shape.types).map((type) => type.startTimeoutMs));
  return view.now - deployment.progressAt > longest + deploySlackMs;
}

/** All of its formation that people want is healthy: it gets steady, or fails, in a time of its own. */
function isHealthyWhole(view: AppView, shape: ReleaseShape): boolean {
  const wanted = wantedOf(view, shape);
  const asked = Object.entries(countsOf(view, shape.id)).filter(([, { quantity }]) => quantity > 0);
  return (
    asked.length > 0 &&
    asked.every(([type, { quantity, healthy }]) => healthy >= Math.min(quantity, wanted[type] ?? 0))
  );
}

function isAnyHealthy(view: AppView, release: string): boolean {
  return Object.values(countsOf(view, release)).some(({ healthy }) => healthy > 0);
}

/** Its formation asks for all that people want. */
function isWanted(view: AppView, shape: ReleaseShape): boolean {
  const asked = view.formations.find(({ release }) => release === shape.id)?.quantities ?? {};
  return Object.entries(wantedOf(view, shape)).every(([type, many]) => (asked[type] ?? 0) >= many);
}

function sickest(view: AppView, shape: ReleaseShape): string {
  const { isHealthy } = healthOf(view);
  const sick = wantedJobs(view, shape).find((job) => !isHealthy(job));
  if (!sick) return 'its jobs were not made';
  return `${sick.name} is ${sick.state}${sick.reason === undefined ? '' : ` (${sick.reason})`}`;
}

function wantedJobs(view: AppView, shape: ReleaseShape): SeenJob[] {
  return view.jobs.filter(
    (job) => job.release === shape.id && job.kind === 'service' && job.isWanted,
  );
}

const shortestLookMs = 50;
const longestLookMs = 1_000;

/** How soon something may be due that no event announces: a steady process, a time limit. */
function nextLook(view: AppView, shape: ReleaseShape, { deploySteadyMs }: DecideOptions): number {
  const { isSteady, steadyInMs } = healthOf(view);
  const waits = wantedJobs(view, shape)
    .filter((job) => job.state === 'up' && !isSteady(job, deploySteadyMs))
    .map((job) => steadyInMs(job, deploySteadyMs));
  return Math.max(shortestLookMs, Math.min(longestLookMs, ...waits));
}

function isSame(a: Readonly<Quantities>, b: Readonly<Quantities>): boolean {
  const types = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...types].every((type) => (a[type] ?? 0) === (b[type] ?? 0));
}

function singletonsOf({ types }: Pick<ReleaseShape, 'types'> = { types: {} }): Set<string> {
  return new Set(Object.keys(types).filter((type) => types[type]?.isSingleton));
}

/** Types of which neither the old one nor the new one leaves its ports to the other while it runs. */
function exclusiveOf({ releases }: AppView, target: ReleaseShape | undefined): Set<string> {
  const others = [...releases.values()].filter(({ id }) => id !== target?.id);
  const hasPorts = ({ types }: ReleaseShape, type: string) => types[type]?.hasHostPorts === true;
  const types = Object.keys(target?.types ?? {});
  return new Set(
    types.filter(
      (type) => target && hasPorts(target, type) && others.some((shape) => hasPorts(shape, type)),
    ),
  );
}
