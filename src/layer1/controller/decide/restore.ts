// What the store holds after a restore. A backup has wishes (apps, releases, formations, routes) and facts (machines, who
// they are, addresses, what runs where). Wishes go back to what they were. Facts do not: in a cluster that runs they stay
// as they are now, and so do the platform itself and who may call. On a fresh machine that takes a lost cluster over there
// are none yet, and the backup's are the best there is.

import { hostTagsPrefix, statusPrefix } from '#layer0/host/wire';
import { type Formation, formationPrefix, type Job, jobPrefix } from '#layer0/scheduler/wire';
import type { Replacement } from '#layer0/store/client';
import { routeClaimKey, routePrefix } from '#layer1/router/wire';
import {
  type App,
  appPrefix,
  deploymentRoot,
  eventPrefix,
  idempotencyPrefix,
  keptImagePrefix,
  networkTombstonePrefix,
  systemAppId,
} from '../wire.ts';

/** `replace`: into a cluster that runs. `takeover`: on a fresh machine, in the place of a cluster that is lost. */
export type RestoreMode = 'replace' | 'takeover';

export interface Kept {
  key: string;
  value: unknown;
  createRevision: number;
  /** In a backup there is none. */
  lease?: string;
}

export interface RestorePlan {
  entries: Replacement[];
  /** Names of apps that are there afterwards. */
  apps: string[];
  /** Apps of now that the backup does not know: what runs of them runs on, unknown. */
  forgotten: string[];
}

/** The claims of the store's elections. */
const electionPrefix = 'elections/';

/** What people and the controller ask for. */
const wishPrefixes = [
  appPrefix,
  'controller/app-names/',
  'controller/releases/',
  deploymentRoot,
  formationPrefix,
  'router/',
  hostTagsPrefix,
];

export function planRestore(
  backup: readonly Kept[],
  now: readonly Kept[],
  mode: RestoreMode,
): RestorePlan {
  const isOthers = systemOf(backup);
  const isOurs = systemOf(now);
  const wishes = backup.filter((entry) => isWish(entry) && !isOthers(entry));
  const system = now.filter((entry) => isWish(entry) && isOurs(entry));
  const apps = appsOf([...wishes, ...system]);
  const merged = new Map<string, Kept>();
  const add = (entries: readonly Kept[]) => {
    for (const entry of entries) merged.set(entry.key, entry);
  };
  if (mode === 'takeover') add(lostFacts(backup));
  add(backup.filter(({ key }) => key.startsWith(keptImagePrefix)));
  const formations = formationsOf([...wishes, ...system]);
  add(factsOfNow(now, { apps: new Set(apps.keys()), formations }));
  add(wishes);
  add(system);
  const ours = appsOf(now);
  return {
    entries: inOrder([...merged.values()], new Set(backup.map(({ key }) => key))),
    apps: [...apps.values()].sort(),
    forgotten: [...ours].flatMap(([id, name]) => (apps.has(id) ? [] : [name])).sort(),
  };
}

function isWish({ key }: Kept): boolean {
  return wishPrefixes.some((prefix) => key.startsWith(prefix));
}

/** Which entries are the platform's own: a restore does not change its version. Claims of its routes are known by these. */
function systemOf(all: readonly Kept[]): (entry: Kept) => boolean {
  const isOwn = ({ key, value }: Kept) =>
    (value as { app?: string } | null)?.app === systemAppId || key.split('/').includes(systemAppId);
  const routes = new Set(
    all.filter((entry) => entry.key.startsWith(routePrefix) && isOwn(entry)).map(({ key }) => key),
  );
  return (entry) =>
    entry.key.startsWith(routeClaimKey(''))
      ? routes.has(`${routePrefix}${(entry.value as { route?: string }).route}`)
      : isOwn(entry);
}

/** What runs, of formations that are wanted afterwards, and everything else that is no wish. */
function factsOfNow(
  now: readonly Kept[],
  wanted: { apps: ReadonlySet<string>; formations: ReadonlySet<string> },
): Kept[] {
  const jobs = new Set(
    now
      .filter(({ key, value }) => key.startsWith(jobPrefix) && isWanted(value as Job, wanted))
      .map(({ key }) => key.slice(jobPrefix.length)),
  );
  return now.filter((entry) => {
    const { key } = entry;
    // Who leads is decided anew, on the state that is there then.
    if (isWish(entry) || key.startsWith(electionPrefix)) return false;
    if (key.startsWith(jobPrefix)) return jobs.has(key.slice(jobPrefix.length));
    if (key.startsWith(statusPrefix)) return jobs.has(key.slice(statusPrefix.length));
    // What is back is not to be removed for having been deleted.
    const isTombstone = key.startsWith(networkTombstonePrefix);
    return !(isTombstone && wanted.apps.has(key.slice(networkTombstonePrefix.length)));
  });
}

function isWanted(
  { app, release, kind }: Job,
  { apps, formations }: { apps: ReadonlySet<string>; formations: ReadonlySet<string> },
): boolean {
  return kind === 'ephemeral' ? apps.has(app) : formations.has(`${app}/${release}`);
}

/** Of the machines that are lost or will be back, without the platform's processes and what ran once. */
function lostFacts(backup: readonly Kept[]): Kept[] {
  const jobs = new Set(
    backup
      .filter(({ key, value }) => key.startsWith(jobPrefix) && isService(value as Job))
      .map(({ key }) => key.slice(jobPrefix.length)),
  );
  return backup.filter((entry) => {
    const { key } = entry;
    if (isWish(entry) || key.startsWith(idempotencyPrefix)) return false;
    if (key.startsWith(networkTombstonePrefix)) return false;
    if (key.startsWith(jobPrefix)) return jobs.has(key.slice(jobPrefix.length));
    if (key.startsWith(statusPrefix)) return jobs.has(key.slice(statusPrefix.length));
    return true;
  });
}

function isService({ kind, app }: Job): boolean {
  return kind === 'service' && app !== systemAppId;
}

/** Names by id. */
function appsOf(entries: readonly Kept[]): Map<string, string> {
  const apps = entries.filter(({ key }) => key.startsWith(appPrefix));
  return new Map(apps.map(({ value }) => [(value as App).id, (value as App).name]));
}

function formationsOf(entries: readonly Kept[]): Set<string> {
  const formations = entries.filter(({ key }) => key.startsWith(formationPrefix));
  return new Set(
    formations.map(({ value }) => `${(value as Formation).app}/${(value as Formation).release}`),
  );
}

/** Deployments and events are read in the order of their creation: the backup's first, as they came. */
function inOrder(entries: readonly Kept[], fromBackup: ReadonlySet<string>): Replacement[] {
  const isOrdered = ({ key }: Kept) =>
    key.startsWith(deploymentRoot) || key.startsWith(eventPrefix);
  const ordered = entries
    .filter(isOrdered)
    .sort(
      (a, b) =>
        Number(fromBackup.has(b.key)) - Number(fromBackup.has(a.key)) ||
        a.createRevision - b.createRevision,
    );
  const orders = new Map(ordered.map(({ key }, index) => [key, index + 1]));
  return entries.map(({ key, value, lease }) => ({
    key,
    value,
    order: orders.get(key) ?? 0,
    ...(lease === undefined ? {} : { lease }),
  }));
}
