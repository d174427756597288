// Writes app `gantry` into an empty store, moves it to a new version by a deployment like any other, and, when no
// controller is alive to do that, puts the formation back itself. observe -> decide -> act.

import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#core/clock';
import { newId } from '#core/ids';
import type { HostClient } from '#layer0/host/client';
import { type Formation, formationKey, formationPrefix } from '#layer0/scheduler/wire';
import type { Store } from '#layer0/store/client';
import type { Operation } from '#layer0/store/wire';
import {
  type App,
  appKey,
  appNameKey,
  type Deployment,
  deploymentKey,
  type Release,
  releaseKey,
  releasePrefix,
} from '#layer1/controller/wire';
import { routeOperations, systemRoutes } from './domain.ts';
import { bootstrapErrors } from './errors.ts';
import type { Machine } from './machine-file.ts';
import {
  type SystemProcess,
  systemAppId,
  systemAppName,
  systemCopies,
  systemPlacements,
  systemPriority,
} from './system-app.ts';

export interface InstallDeps {
  store: Store;
  host: HostClient;
  clock: Clock;
}

export interface Seen {
  app: App | undefined;
  /** Oldest first. */
  releases: Release[];
  formations: Formation[];
  /** Somebody leads the deployments: a new release can go its usual way. */
  hasController: boolean;
}

export type Plan =
  | { kind: 'install' }
  | { kind: 'nothing' }
  /** A deployment by the controller. */
  | { kind: 'deploy'; version: number }
  /** The formation is put back by hand: nobody is there to deploy. */
  | { kind: 'restore'; version: number };

/** What to do about app `gantry`, given what the store holds and what this checkout wants. */
export function planInstall(seen: Seen, wanted: Record<string, SystemProcess>): Plan {
  if (!seen.app) return { kind: 'install' };
  const latest = seen.releases.at(-1);
  const current = seen.releases.find(({ id }) => id === seen.app?.currentRelease);
  const isCurrent =
    current !== undefined && isDeepStrictEqual(current.systemSpecs, specsOf(wanted));
  const runs = seen.formations.some(({ release }) => release === current?.id);
  if (isCurrent && runs && seen.formations.length === 1 && seen.hasController)
    return { kind: 'nothing' };
  const version = (latest?.version ?? 0) + 1;
  if (!seen.hasController) return { kind: 'restore', version };
  return isCurrent && runs ? { kind: 'nothing' } : { kind: 'deploy', version };
}

export function specsOf(
  processes: Record<string, SystemProcess>,
): NonNullable<Release['systemSpecs']> {
  return Object.fromEntries(Object.entries(processes).map(([type, { spec }]) => [type, spec]));
}

export async function observe(store: Store): Promise<Seen> {
  const app = await store.get<App>(appKey(systemAppId));
  const releases = await store.list<Release>(releasePrefix(systemAppId));
  const formations = await store.list<Formation>(`${formationPrefix}${systemAppId}/`);
  return {
    app: app?.value,
    releases: releases.entries.map(({ value }) => value),
    formations: formations.entries.map(({ value }) => value),
    hasController: await hasController(store),
  };
}

/** Somebody leads the deployments, or did until a moment ago. */
export async function hasController(store: Store): Promise<boolean> {
  return (await store.get('elections/controller/deployments')) !== undefined;
}

/** The key by which system processes know one another: made once, kept sealed from release to release. */
export async function sealedInternalKey(seen: Seen, host: HostClient): Promise<string> {
  const specs = Object.values(seen.releases.at(-1)?.systemSpecs ?? {});
  const known = specs.map((spec) => spec.sealedEnv.GANTRY_INTERNAL_KEY).find((value) => value);
  return (
    known ?? host.seal(`${systemAppId}/GANTRY_INTERNAL_KEY`, randomBytes(32).toString('base64url'))
  );
}

export interface Wanted {
  machine: Machine;
  processes: Record<string, SystemProcess>;
  /** For people: which version of the sources. */
  sourceVersion: string;
}

/** Says what it did; a deployment is only written down here, `waitForDeployment` follows it. */
export async function applyPlan(
  plan: Plan,
  wanted: Wanted,
  deps: InstallDeps,
): Promise<{ deployment?: string }> {
  switch (plan.kind) {
    case 'nothing':
      return {};
    case 'install': {
      const release = systemRelease(1, wanted, deps.clock.now());
      const app = systemApp(wanted, release, deps.clock.now());
      const routes = systemRoutes(wanted.machine, deps.clock.now()).flatMap(routeOperations);
      await commit(deps.store, [
        { put: appKey(systemAppId), value: app },
        { put: appNameKey(systemAppName), value: { app: systemAppId } },
        { put: releaseKey(systemAppId, 1), value: release },
        { put: formationKey(systemAppId, release.id), value: formationOf(release, wanted) },
        ...routes,
      ]);
      return {};
    }
    case 'deploy': {
      const release = systemRelease(plan.version, wanted, deps.clock.now());
      const app = await readApp(deps.store);
      const deployment = systemDeployment(app, release, deps.clock.now());
      await commit(deps.store, [
        { put: releaseKey(systemAppId, plan.version), value: release },
        { put: deploymentKey(systemAppId, deployment.id), value: deployment },
      ]);
      return { deployment: deployment.id };
    }
    case 'restore': {
      const release = systemRelease(plan.version, wanted, deps.clock.now());
      const app = await readApp(deps.store);
      const seen = await observe(deps.store);
      const others = seen.formations.map((old) => ({
        delete: formationKey(systemAppId, old.release),
      }));
      await commit(deps.store, [
        { put: releaseKey(systemAppId, plan.version), value: release },
        {
          put: appKey(systemAppId),
          value: { ...app, currentRelease: release.id, currentVersion: release.version },
        },
        { put: formationKey(systemAppId, release.id), value: formationOf(release, wanted) },
        ...others,
      ]);
      return {};
    }
    default:
      return plan satisfies never;
  }
}

async function readApp(store: Store): Promise<App> {
  const entry = await store.get<App>(appKey(systemAppId));
  if (!entry) throw bootstrapErrors.mixed(`the store has no app ${systemAppName}`);
  return entry.value;
}

async function commit(store: Store, operations: Operation[]): Promise<void> {
  const result = await store.txn({ compare: [], operations });
  if (!result.ok) throw bootstrapErrors.mixed('the store refused the records of app gantry');
}

function systemRelease(version: number, wanted: Wanted, now: number): Release {
  const image = Object.values(wanted.processes)[0]?.spec.image;
  const perHost = Object.entries(wanted.processes).filter(([, { isOnePerHost }]) => isOnePerHost);
  return {
    id: newId('rel'),
    app: systemAppId,
    version,
    ...(image ? { imageId: image } : {}),
    sealedEnv: {},
    processes: Object.fromEntries(Object.keys(wanted.processes).map((type) => [type, {}])),
    systemSpecs: specsOf(wanted.processes),
    onePerHost: perHost.map(([type]) => type),
    copies: systemCopies,
    placements: systemPlacements,
    description: `Gantry ${wanted.sourceVersion}`,
    createdBy: 'script/up',
    createdAt: now,
  };
}

function systemApp(wanted: Wanted, release: Release, now: number): App {
  const quantities = Object.entries(wanted.processes).map(([type, { quantity }]) => [
    type,
    quantity,
  ]);
  return {
    id: systemAppId,
    name: systemAppName,
    strategy: 'one-by-one',
    batchSize: 1,
    currentRelease: release.id,
    currentVersion: release.version,
    quantities: Object.fromEntries(quantities) as Record<string, number>,
    limits: {},
    isSystem: true,
    isDeleting: false,
    createdAt: now,
  };
}

function systemDeployment(app: App, release: Release, now: number): Deployment {
  return {
    id: newId('dep'),
    app: systemAppId,
    ...(app.currentRelease ? { oldRelease: app.currentRelease } : {}),
    ...(app.currentVersion ? { oldVersion: app.currentVersion } : {}),
    newRelease: release.id,
    newVersion: release.version,
    strategy: 'one-by-one',
    batchSize: 1,
    state: 'pending',
    createdAt: now,
    progressAt: now,
  };
}

function formationOf(release: Release, wanted: Wanted): Formation {
  const processes = Object.entries(wanted.processes).map(([type, process]) => [
    type,
    {
      ...process,
      placement: 'spread' as const,
      ...(type in systemPlacements ? { rules: systemPlacements[type as 'git-receiver'] } : {}),
    },
  ]);
  return {
    app: systemAppId,
    appName: systemAppName,
    release: release.id,
    releaseVersion: release.version,
    priority: systemPriority,
    processes: Object.fromEntries(processes) as Formation['processes'],
  };
}
