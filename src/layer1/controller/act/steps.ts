// One executor per kind of step: thin, idempotent, one transaction fenced by the leadership and by what was seen.
// A step that finds the world changed does nothing; the loop looks again.

import { hasCode } from '#core/errors';
import type { Formation } from '#layer0/scheduler/wire';
import { formationKey } from '#layer0/scheduler/wire';
import type { Compare, Entry, Operation, Revision } from '#layer0/store/client';
import type { Step } from '../decide/app.ts';
import { priorityOf, specsOf } from '../decide/job-spec.ts';
import { eventOperation } from '../events.ts';
import { type App, appKey, type Deployment, deploymentKey, type Release } from '../wire.ts';
import type { ActContext } from './act-context.ts';
import { purge } from './purge.ts';

export interface Acted {
  /** False: somebody else changed what the step was decided on. */
  ok: boolean;
  revision?: Revision;
  keys?: string[];
}

type Executor<K extends Step['type']> = (
  context: ActContext,
  step: Extract<Step, { type: K }>,
) => Promise<Acted>;

/** A kind of step without an executor does not compile. */
const executors: { [K in Step['type']]: Executor<K> } = {
  supersede: (context, { deployment, reason, isFailure }) =>
    endDeployment(context, deployment, {
      state: isFailure ? 'failed' : 'superseded',
      reason,
    }),
  begin,
  'note-fallback': noteFallback,
  scale,
  prioritize,
  'remove-formation': removeFormation,
  'roll-back': (context, { deployment, reason }) =>
    moveDeployment(context, deployment, { state: 'rolling-back', reason }),
  fail,
  complete,
  'stop-jobs': stopJobs,
  purge,
};

export function act(context: ActContext, step: Step): Promise<Acted> {
  return (executors[step.type] as Executor<Step['type']>)(context, step);
}

function begin(context: ActContext, { deployment }: { deployment: string }): Promise<Acted> {
  return moveDeployment(context, deployment, { state: 'running', ...oldOf(context) });
}

/** What to go back to: the current release, or what the deployment before this one, which was overtaken, had noted. */
function oldOf({ app, observer }: ActContext): Pick<Deployment, 'oldRelease' | 'oldVersion'> {
  const { id, currentRelease, currentVersion } = app.value;
  const last = observer.deployments(id).findLast(({ value }) => value.endedAt !== undefined)?.value;
  const oldRelease = currentRelease ?? last?.oldRelease;
  const oldVersion = currentRelease === undefined ? last?.oldVersion : currentVersion;
  return {
    ...(oldRelease === undefined ? {} : { oldRelease }),
    ...(oldVersion === undefined ? {} : { oldVersion }),
  };
}

async function noteFallback(
  context: ActContext,
  { deployment, release, version }: Extract<Step, { type: 'note-fallback' }>,
): Promise<Acted> {
  const entry = deploymentOf(context, deployment);
  if (!entry) return { ok: false };
  const value: Deployment = { ...entry.value, oldRelease: release, oldVersion: version };
  return commit(context, [unchanged(context.app), unchanged(entry)], [{ put: entry.key, value }]);
}

async function scale(context: ActContext, step: Extract<Step, { type: 'scale' }>): Promise<Acted> {
  const { app, observer, clock } = context;
  const key = formationKey(app.value.id, step.release);
  const before = observer.formations(app.value.id).find((entry) => entry.key === key);
  const formation = await formationFor(context, step, before?.value);
  if (!formation) return { ok: false };
  const compare: Compare[] = [unchanged(app), seen(key, before)];
  const operations: Operation[] = [{ put: key, value: formation }];
  if (step.deployment !== undefined) {
    const entry = deploymentOf(context, step.deployment);
    if (!entry) return { ok: false };
    compare.push(unchanged(entry));
    operations.push({ put: entry.key, value: { ...entry.value, progressAt: clock.now() } });
  }
  return commit(context, compare, operations);
}

async function prioritize(
  context: ActContext,
  { release }: Extract<Step, { type: 'prioritize' }>,
): Promise<Acted> {
  const { app, observer } = context;
  const key = formationKey(app.value.id, release);
  const entry = observer.formations(app.value.id).find((other) => other.key === key);
  if (!entry) return { ok: false };
  const value: Formation = { ...entry.value, priority: priorityOf(app.value) };
  return commit(context, [unchanged(app), unchanged(entry)], [{ put: key, value }]);
}

/** Specs that a formation has stay as they are: they belong to its jobs. Types that are new come from the release. */
async function formationFor(
  { app, releases }: ActContext,
  { release: id, quantities }: Extract<Step, { type: 'scale' }>,
  before: Formation | undefined,
): Promise<Formation | undefined> {
  const release = await releases.read(app.value.id, id);
  if (!release && !before) return undefined;
  const specs = release ? specsOf(release, app.value) : {};
  const processes: Formation['processes'] = {};
  for (const [type, quantity] of Object.entries(quantities)) {
    const known = before?.processes[type];
    const spec = known?.spec ?? specs[type];
    if (!spec) continue;
    processes[type] = { ...(known ?? placedAs(release, type)), quantity, spec };
  }
  return {
    app: app.value.id,
    appName: app.value.name,
    release: id,
    releaseVersion: before?.releaseVersion ?? release?.version ?? 1,
    priority: priorityOf(app.value),
    processes,
  };
}

function placedAs(release: Release | undefined, type: string) {
  const { count, isPacked, hostPorts: _, ...rules } = release?.placements?.[type] ?? {};
  return {
    isOnePerHost: count === 'per-host' || release?.onePerHost?.includes(type) === true,
    placement: isPacked ? ('binpack' as const) : ('spread' as const),
    ...(count === 'singleton' ? { isSingleton: true } : {}),
    ...(Object.keys(rules).length > 0 ? { rules } : {}),
  };
}

function removeFormation(context: ActContext, { release }: { release: string }): Promise<Acted> {
  const key = formationKey(context.app.value.id, release);
  return commit(context, [unchanged(context.app)], [{ delete: key }]);
}

async function complete(
  context: ActContext,
  { deployment }: { deployment: string },
): Promise<Acted> {
  const entry = deploymentOf(context, deployment);
  if (!entry) return { ok: false };
  // One that was given up, and was healthy before it was gone, is no failure any more.
  const { reason: _, ...deployed } = entry.value;
  const { newRelease, newVersion } = deployed;
  const app: App = { ...context.app.value, currentRelease: newRelease, currentVersion: newVersion };
  const value = ended(context, { ...deployed, state: 'complete' });
  return commit(
    context,
    [unchanged(context.app), unchanged(entry)],
    [
      { put: appKey(app.id), value: app },
      { put: entry.key, value },
      told(context, value, `v${newVersion} is live`),
    ],
  );
}

/** What it went back to is current from now on, also where no release was ever complete. */
async function fail(
  context: ActContext,
  { deployment, reason }: { deployment: string; reason: string },
): Promise<Acted> {
  const entry = deploymentOf(context, deployment);
  if (!entry) return { ok: false };
  const value = ended(context, { ...entry.value, state: 'failed', reason });
  const operations: Operation[] = [{ put: entry.key, value }, told(context, value, reason)];
  const { oldRelease: currentRelease, oldVersion: currentVersion } = value;
  if (context.app.value.currentRelease === undefined && currentRelease !== undefined) {
    const current = { currentRelease, ...(currentVersion === undefined ? {} : { currentVersion }) };
    const app: App = { ...context.app.value, ...current };
    operations.push({ put: appKey(app.id), value: app });
  }
  return commit(context, [unchanged(context.app), unchanged(entry)], operations);
}

async function endDeployment(
  context: ActContext,
  id: string,
  end: Pick<Deployment, 'state'> & { reason: string },
): Promise<Acted> {
  const entry = deploymentOf(context, id);
  if (!entry) return { ok: false };
  const value = ended(context, { ...entry.value, ...end });
  const operations = [{ put: entry.key, value }, told(context, value, end.reason)];
  return commit(context, [unchanged(entry)], operations);
}

async function moveDeployment(
  context: ActContext,
  id: string,
  next: Partial<Deployment> & Pick<Deployment, 'state'>,
): Promise<Acted> {
  const entry = deploymentOf(context, id);
  if (!entry) return { ok: false };
  const value: Deployment = { ...entry.value, ...next, progressAt: context.clock.now() };
  const message = next.reason ?? `v${value.newVersion} is being rolled out`;
  return commit(
    context,
    [unchanged(context.app), unchanged(entry)],
    [{ put: entry.key, value }, told(context, value, message)],
  );
}

async function stopJobs(context: ActContext, { jobs }: { jobs: string[] }): Promise<Acted> {
  for (const job of jobs) {
    try {
      await context.scheduler.stopJob(job);
    } catch (error) {
      if (!hasCode(error, 'scheduler.jobNotFound')) throw error;
    }
  }
  return { ok: true };
}

async function commit(
  { store, fence }: ActContext,
  compare: Compare[],
  operations: Operation[],
): Promise<Acted> {
  const { ok, revision } = await store.txn({ compare: [fence, ...compare], operations });
  const keys = operations.map((operation) =>
    'put' in operation ? operation.put : operation.delete,
  );
  return { ok, revision, keys };
}

function deploymentOf({ app, observer }: ActContext, id: string): Entry<Deployment> | undefined {
  const key = deploymentKey(app.value.id, id);
  return observer.deployments(app.value.id).find((entry) => entry.key === key);
}

function ended({ clock }: ActContext, deployment: Deployment): Deployment {
  return { ...deployment, endedAt: clock.now() };
}

function unchanged({ key, modRevision }: Entry): Compare {
  return { key, modRevision };
}

function seen(key: string, entry: Entry | undefined): Compare {
  return entry ? unchanged(entry) : { key, is: 'absent' };
}

/** That the deployment is in the state that it has now. */
function told(context: ActContext, { id, state }: Deployment, message: string): Operation {
  const { id: app, name } = context.app.value;
  const event = { app, type: `deployment.${state}`, object: id, message: `${name}: ${message}` };
  return eventOperation(event, context);
}
