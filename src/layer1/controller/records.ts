// Reads and writes of the controller's own records: find by name, read releases, and change by compare until it holds.

import type { Entry, Operation, Revision, Store, Txn } from '#layer0/store/client';
import { controllerErrors } from './errors.ts';
import {
  type App,
  appKey,
  appNameKey,
  type Deployment,
  deploymentPrefix,
  type NameClaim,
  type Release,
  releaseKey,
  releasePrefix,
} from './wire.ts';

/** Names of this form are refused: they could be taken for another app's id. */
export const idPattern = /^app-[a-z0-9]{6,}$/;

/** How often a change is decided again after somebody else's commit came first. */
const maxConflicts = 30;

/** By name or by id. */
export async function readApp(store: Store, name: string): Promise<Entry<App>> {
  const claim = await store.get<NameClaim>(appNameKey(name));
  const id = claim?.value.app ?? (idPattern.test(name) ? name : undefined);
  const entry = id === undefined ? undefined : await store.get<App>(appKey(id));
  if (entry) return entry;
  throw controllerErrors.appNotFound(`there is no app named ${name}; \`gantry apps\` lists them`);
}

/** For a change: an app that is going away takes none. */
export async function readLivingApp(store: Store, name: string): Promise<Entry<App>> {
  const entry = await readApp(store, name);
  if (entry.value.isDeleting)
    throw controllerErrors.appIsDeleting(`app ${name} is being deleted; nothing of it can change`);
  return entry;
}

/** Versions from `fromVersion` up, oldest first. */
export async function readReleases(store: Store, app: string, fromVersion = 1): Promise<Release[]> {
  const after = fromVersion > 1 ? { after: releaseKey(app, fromVersion - 1) } : {};
  const { entries } = await store.list<Release>(releasePrefix(app), after);
  return entries.map(({ value }) => value);
}

export async function readRelease(store: Store, app: App, version: number): Promise<Release> {
  const entry = await store.get<Release>(releaseKey(app.id, version));
  if (!entry)
    throw controllerErrors.releaseNotFound(
      `app ${app.name} has no release v${version}; \`gantry release -a ${app.name}\` lists them`,
    );
  return entry.value;
}

/** In the order of their creation. */
export async function readDeployments(store: Store, app: string): Promise<Deployment[]> {
  const { entries } = await store.list<Deployment>(deploymentPrefix(app));
  return entries.sort((a, b) => a.createRevision - b.createRevision).map(({ value }) => value);
}

export interface Change<T> extends Txn {
  operations: Operation[];
  result: T;
}

export interface Changed<T> {
  result: T;
  revision: Revision;
}

/** Reads, decides and commits again and again until nobody came between. `attempt` throws what cannot succeed. */
export async function change<T>(
  store: Store,
  what: string,
  attempt: () => Promise<Change<T>>,
): Promise<Changed<T>> {
  for (let conflicts = 0; conflicts < maxConflicts; conflicts++) {
    const { result, compare, operations } = await attempt();
    const answer = await store.txn({ compare, operations });
    if (answer.ok) return { result, revision: answer.revision };
  }
  throw controllerErrors.conflict(
    `${what}: others changed the same app ${maxConflicts} times in a row; try once more`,
  );
}
