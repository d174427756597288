// Keeps the controller's own records small: old releases, finished deployments, events, idempotency keys, and the marks of images
// that a release needs. Everything is decided on a fresh read and deleted only if unchanged since.

import type { Clock } from '#core/clock';
import { type Compare, listAll, listPages, type Operation, type Store } from '#layer0/store/client';
import { deploymentsToDrop, releasesToDrop } from '../decide/collect.ts';
import type { Observer } from '../observe.ts';
import { readReleases } from '../records.ts';
import { isUnfinished } from '../view.ts';
import {
  deploymentKey,
  eventPrefix,
  type Idempotent,
  idempotencyPrefix,
  type KeptMark,
  keptImageKey,
  keptImagePrefix,
  maxDeploymentsPerApp,
  maxEvents,
  maxReleasesPerApp,
  maxSystemReleases,
  type Release,
  releaseKey,
} from '../wire.ts';

/** How long an Idempotency-Key is remembered. */
export const idempotencyKeptMs = 24 * 60 * 60 * 1000;
/** Operations of one transaction. */
const chunkSize = 40;

export interface CollectDeps {
  store: Store;
  observer: Observer;
  clock: Clock;
  fence: Compare;
  caps?: { releases: number; deployments: number };
}

type Fenced = Pick<CollectDeps, 'store' | 'fence'>;

/** One app's releases and deployments. */
export async function collectApp(deps: CollectDeps, appId: string): Promise<void> {
  const { store, observer } = deps;
  const app = observer.app(appId)?.value;
  if (!app || app.isDeleting) return;
  const ofApp = app.isSystem ? maxSystemReleases : maxReleasesPerApp;
  const caps = deps.caps ?? { releases: ofApp, deployments: maxDeploymentsPerApp };
  const deployments = observer.deployments(appId).map(({ value }) => value);
  const releases = await readReleases(store, appId);
  const needed = new Set<string>(observer.formations(appId).map(({ value }) => value.release));
  if (app.currentRelease !== undefined) needed.add(app.currentRelease);
  for (const { newRelease, oldRelease } of deployments.filter(isUnfinished))
    for (const id of [newRelease, oldRelease]) if (id !== undefined) needed.add(id);
  const dropped = releasesToDrop(releases, needed, caps.releases);
  const gone = new Set(dropped.map(({ id }) => id));
  const kept = new Set(releases.map(({ id }) => id).filter((id) => !gone.has(id)));
  await deleteAll(deps, [
    ...dropped.map(({ version }) => releaseKey(appId, version)),
    ...deploymentsToDrop(deployments, kept, caps.deployments).map(({ id }) =>
      deploymentKey(appId, id),
    ),
  ]);
}

/** Marks of images that no release of any app names any more. The images themselves are layer 0's to collect. */
export async function collectImageMarks(deps: CollectDeps): Promise<void> {
  // The marks are read first: a release made later writes its mark anew, and the compare below then fails.
  const marks = await listAll<KeptMark>(deps.store, keptImagePrefix);
  const needed = new Set<string>();
  for await (const { entries } of listPages<Release>(deps.store, 'controller/releases/'))
    for (const { value } of entries) if (value.imageId !== undefined) needed.add(value.imageId);
  const marked = new Set(marks.map(({ key }) => key));
  for (const image of needed) if (!marked.has(keptImageKey(image))) await putMark(deps, image);
  for (const { key, modRevision, value } of marks) {
    if (needed.has(key.slice(keptImagePrefix.length)) || value.keptFor !== undefined) continue;
    const compare: Compare[] = [deps.fence, { key, modRevision }];
    await deps.store.txn({ compare, operations: [{ delete: key }] });
  }
}

/** Releases that were not made through the API, those of the system app, get their mark here. */
async function putMark({ store, fence, clock }: CollectDeps, image: string): Promise<void> {
  const operations: Operation[] = [{ put: keptImageKey(image), value: { at: clock.now() } }];
  await store.txn({ compare: [fence], operations });
}

export async function collectIdempotency(deps: CollectDeps): Promise<void> {
  const oldest = deps.clock.now() - idempotencyKeptMs;
  const entries = await listAll<Idempotent>(deps.store, idempotencyPrefix);
  const old = entries.filter(({ value }) => value.createdAt < oldest);
  await deleteAll(
    deps,
    old.map(({ key }) => key),
  );
}

export async function collectEvents(deps: Fenced & { cap?: number }): Promise<void> {
  const { store, cap = maxEvents } = deps;
  const events = await listAll(store, eventPrefix);
  const byAge = events.sort((a, b) => a.createRevision - b.createRevision);
  const old = byAge.slice(0, Math.max(0, events.length - cap));
  await deleteAll(
    deps,
    old.map(({ key }) => key),
  );
}

async function deleteAll({ store, fence }: Fenced, keys: string[]): Promise<void> {
  for (let start = 0; start < keys.length; start += chunkSize) {
    const chunk = keys.slice(start, start + chunkSize);
    const operations = chunk.map((key): Operation => ({ delete: key }));
    await store.txn({ compare: [fence], operations });
  }
}
