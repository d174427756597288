// How many of each process type: what people want is a field of the app, the loop moves the formations there.

import { coreErrors } from '#core/errors';
import { maxProcessTypes } from '#layer0/scheduler/wire';
import type { FormationView } from '../api.ts';
import type { Context } from '../context.ts';
import { healthOf, wantedOf } from '../decide/app-view.ts';
import { wantedQuantities } from '../decide/job-spec.ts';
import { controllerErrors } from '../errors.ts';
import { readApp, readLivingApp } from '../records.ts';
import { ReleaseCache, viewOf } from '../view.ts';
import type { App, Release } from '../wire.ts';
import { AppChanges } from './app-changes.ts';
import { updateApp } from './apps.ts';
import { readBase } from './releases.ts';

/** Longest wait for a scale with `wait`. */
const maxWaitMs = 300_000;
/** How often it looks although nothing changed: a process without a health check becomes steady silently. */
const lookMs = 500;

export async function readFormation(context: Context, name: string): Promise<FormationView> {
  const { value: app } = await readApp(context.store, name);
  const { base } = await readBase(context, app);
  return viewQuantities(app, base);
}

function viewQuantities(app: App, base: Release | undefined): FormationView {
  const types = typesOf(base);
  return { quantities: types ? wantedQuantities(app, types) : app.quantities };
}

/** Undefined before there is code: a release of config alone says nothing about what may run. */
function typesOf(release: Release | undefined): string[] | undefined {
  if (!release || (!release.systemSpecs && release.imageId === undefined)) return undefined;
  return Object.keys(release.systemSpecs ?? release.processes);
}

export async function scale(
  context: Context,
  name: string,
  quantities: Record<string, number>,
): Promise<FormationView> {
  const { value } = await readLivingApp(context.store, name);
  const { base } = await readBase(context, value);
  const types = typesOf(base);
  const unknown = types && Object.keys(quantities).find((type) => !types.includes(type));
  if (unknown !== undefined)
    throw controllerErrors.processTypeNotFound(
      `v${base?.version} of ${name} has no process type ${unknown}; it has ${types?.join(', ') || 'none'}`,
    );
  const single = Object.entries(quantities).find(
    ([type, quantity]) => quantity > 1 && value.placements?.[type]?.count === 'singleton',
  );
  if (single)
    throw coreErrors.invalid(
      `${single[0]} of ${name} is a singleton: only one runs at once. gantry placement clear ${single[0]} ends that`,
    );
  const said = Object.entries(quantities).map(([type, quantity]) => `${type}=${quantity}`);
  const message = `${name}: ${said.join(' ')}`;
  const app = await updateApp(
    context,
    name,
    (old) => ({ ...old, quantities: withinLimit({ ...old.quantities, ...quantities }) }),
    ({ id }) => [{ app: id, type: 'app.scaled', object: id, message }],
  );
  return viewQuantities(app, base);
}

/** Before there is code any type may be named: their number is what is bounded. */
function withinLimit(quantities: Record<string, number>): Record<string, number> {
  const count = Object.keys(quantities).length;
  if (count <= maxProcessTypes) return quantities;
  throw coreErrors.invalid(`${count} process types are too many, ${maxProcessTypes} is the limit`);
}

/** Resolves when every job that people want is healthy and no other runs. */
export async function waitForFormation(
  context: Context,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const { clock } = context;
  const end = clock.monotonicMs() + maxWaitMs;
  const releases = new ReleaseCache(context.store);
  const { value: app } = await readApp(context.store, name);
  using changes = new AppChanges(context, app.id);
  for (;;) {
    const missing = await missingOf(context, app.id, releases);
    if (missing === undefined) return;
    const leftMs = end - clock.monotonicMs();
    if (leftMs <= 0)
      throw coreErrors.timeout(`${name} is not there after ${maxWaitMs / 1000} s: ${missing}`);
    await changes.next(signal, Math.min(lookMs, leftMs));
  }
}

async function missingOf(
  { observer, clock }: Context,
  id: string,
  releases: ReleaseCache,
): Promise<string | undefined> {
  const app = observer.app(id)?.value;
  if (!app) return undefined;
  const view = await viewOf(app, { observer, releases, now: clock.now() });
  const shape =
    app.currentRelease === undefined ? undefined : view.releases.get(app.currentRelease);
  if (!shape || view.deployments.length > 0) return undefined;
  const wanted = wantedOf(view, shape);
  const { isHealthy } = healthOf(view);
  for (const [type, quantity] of Object.entries(wanted)) {
    const jobs = view.jobs.filter(
      (job) => job.kind === 'service' && job.type === type && job.isWanted,
    );
    const healthy = jobs.filter(isHealthy);
    const isEnough = shape.types[type]?.isOnePerHost
      ? healthy.length >= Math.min(1, quantity)
      : jobs.length === quantity && healthy.length === quantity;
    if (isEnough) continue;
    const sick = jobs.find((job) => !healthy.includes(job));
    return `${healthy.length} of ${quantity} ${type} are up${sick?.reason ? `; ${sick.name}: ${sick.reason}` : ''}`;
  }
  return undefined;
}
