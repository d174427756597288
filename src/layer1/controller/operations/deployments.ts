// Deployments as people see them: listed, and followed line by line until they end.

import type { Entry } from '#layer0/store/client';
import { type Context, urlOf } from '../context.ts';
import { wantedQuantities } from '../decide/job-spec.ts';
import { type Progress, progressLines } from '../decide/progress.ts';
import { controllerErrors } from '../errors.ts';
import { readApp, readDeployments } from '../records.ts';
import { ReleaseCache, viewOf } from '../view.ts';
import { type App, type Deployment, deploymentKey, type ProgressLine } from '../wire.ts';
import { AppChanges } from './app-changes.ts';
import { readRoutes } from './routes.ts';

export async function listDeployments({ store }: Context, name: string): Promise<Deployment[]> {
  const { value: app } = await readApp(store, name);
  return (await readDeployments(store, app.id)).reverse();
}

export async function readDeployment(
  { store }: Context,
  name: string,
  id: string,
): Promise<{ app: App; deployment: Deployment }> {
  const { value: app } = await readApp(store, name);
  const entry: Entry<Deployment> | undefined = /^dep-[a-z0-9]+$/.test(id)
    ? await store.get<Deployment>(deploymentKey(app.id, id))
    : undefined;
  if (entry) return { app, deployment: entry.value };
  throw controllerErrors.deploymentNotFound(
    `app ${name} has no deployment ${id.slice(0, 80)}; \`gantry deployment -a ${name}\` lists them`,
  );
}

/** Lines until the deployment ends; the last one is a result or an error. Ending the iteration stops nothing. */
export async function* followDeployment(
  context: Context,
  name: string,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<ProgressLine> {
  const { observer, clock, store } = context;
  const { app, deployment: first } = await readDeployment(context, name, id);
  const releases = new ReleaseCache(store);
  using changes = new AppChanges(context, app.id);
  let before: Progress | undefined;
  for (;;) {
    const seen = observer.deployments(app.id).find(({ value }) => value.id === id)?.value;
    // The view may not have it yet, or not any more: the store knows.
    const deployment =
      seen ?? (before ? (await readDeployment(context, name, id)).deployment : first);
    const now = observer.app(app.id)?.value ?? app;
    const view = await viewOf(now, { observer, releases, now: clock.now() });
    const shape = view.releases.get(deployment.newRelease);
    const types = shape ? Object.keys(shape.types) : [];
    const after = { deployment, jobs: view.jobs, wanted: wantedQuantities(now, types) };
    for (const text of progressLines(before, after)) yield { type: 'line', text };
    before = after;
    const last = await lastLine(context, now, deployment);
    if (last) return yield last;
    await changes.next(signal);
  }
}

async function lastLine(
  context: Context,
  app: App,
  deployment: Deployment,
): Promise<ProgressLine | undefined> {
  const { state, newVersion, oldVersion, id, reason } = deployment;
  if (state === 'complete') {
    const url = await firstUrl(context, app);
    return { type: 'result', release: newVersion, deployment: id, ...(url ? { url } : {}) };
  }
  if (state === 'failed') {
    const still = oldVersion === undefined ? 'nothing runs' : `v${oldVersion} runs`;
    return failed(`v${newVersion} was rolled back: ${reason ?? 'it failed'}; ${still}`);
  }
  if (state === 'superseded') return failed(`v${newVersion} was not finished: ${reason}`);
  if (app.isDeleting) return failed(`v${newVersion} was not finished: the app is being deleted`);
  return undefined;
}

async function firstUrl(context: Context, app: App): Promise<string | undefined> {
  const routes = await readRoutes(context, app.id);
  const domain = routes.find((route) => route.domain !== undefined && route.path === undefined);
  return domain?.domain === undefined ? undefined : urlOf(context.settings, domain.domain);
}

function failed(message: string): ProgressLine {
  return { type: 'error', error: controllerErrors.deploymentFailed(message).toBody() };
}
