// From mirrors to the plain data that decisions look at. Releases are read once: they never change.

import type { JobStatus } from '#layer0/host/wire';
import { stateOf } from '#layer0/scheduler/client';
import type { Formation, Job } from '#layer0/scheduler/wire';
import type { Store } from '#layer0/store/client';
import type { AppView, ReleaseShape, SeenFormation, SeenJob } from './decide/app-view.ts';
import { countedJobs } from './decide/counted-jobs.ts';
import { specsOf } from './decide/job-spec.ts';
import type { Observer } from './observe.ts';
import { readReleases } from './records.ts';
import { type App, type Deployment, type Release, releaseKey } from './wire.ts';

/** Releases kept in memory by the loop. */
const maxCachedReleases = 64;

/** Releases by id, read from the store the first time. */
export class ReleaseCache {
  readonly #store: Store;
  readonly #byId = new Map<string, Release>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Undefined when the app has no such release (any more). */
  async read(app: string, id: string, version?: number): Promise<Release | undefined> {
    const known = this.#byId.get(id);
    if (known) return known;
    const found = version === undefined ? undefined : await this.#readVersion(app, version);
    const release =
      found?.id === id
        ? found
        : (await readReleases(this.#store, app)).find((other) => other.id === id);
    if (release) this.#remember(release);
    return release;
  }

  async #readVersion(app: string, version: number): Promise<Release | undefined> {
    return (await this.#store.get<Release>(releaseKey(app, version)))?.value;
  }

  #remember(release: Release): void {
    this.#byId.set(release.id, release);
    const [oldest] = this.#byId.keys();
    if (this.#byId.size > maxCachedReleases && oldest !== undefined) this.#byId.delete(oldest);
  }
}

export interface ViewDeps {
  observer: Observer;
  releases: ReleaseCache;
  now: number;
}

export async function viewOf(app: App, { observer, releases, now }: ViewDeps): Promise<AppView> {
  const deployments = observer
    .deployments(app.id)
    .map(({ value }) => value)
    .filter(isUnfinished);
  const shapes = new Map<string, ReleaseShape>();
  const formations = observer.formations(app.id).map(({ value }) => value);
  for (const { id, version } of namedReleases(app, deployments, formations)) {
    const release = await releases.read(app.id, id, version);
    if (release) shapes.set(id, shapeOf(release, app));
  }
  return {
    app,
    deployments,
    formations: formations.map(
      ({ release, releaseVersion, priority, processes }): SeenFormation => {
        const types = Object.entries(processes);
        return {
          release,
          version: releaseVersion,
          priority,
          quantities: Object.fromEntries(types.map(([type, { quantity }]) => [type, quantity])),
          onePerHost: types.filter(([, { isOnePerHost }]) => isOnePerHost).map(([type]) => type),
        };
      },
    ),
    jobs: countedJobs({
      jobs: observer.jobs(app.id),
      formations,
      isHealthy: (job) => isUpAndHealthy(observer.status(job)),
    }).map((job) => seenJob(job, observer.status(job.id))),
    releases: shapes,
    hosts: observer.hostCount(),
    machines: observer.machineCount(),
    now,
  };
}

function isUpAndHealthy(status: JobStatus | undefined): boolean {
  return status?.state === 'up' && status.isHealthy;
}

export function isUnfinished({ state }: Deployment): boolean {
  return state === 'pending' || state === 'running' || state === 'rolling-back';
}

function namedReleases(app: App, deployments: Deployment[], formations: Formation[]) {
  const named = new Map<string, { id: string; version?: number }>();
  const add = (id: string | undefined, version: number | undefined) => {
    if (id !== undefined) named.set(id, { id, ...(version === undefined ? {} : { version }) });
  };
  add(app.currentRelease, app.currentVersion);
  const newest = deployments.at(-1);
  add(newest?.oldRelease, newest?.oldVersion);
  add(newest?.newRelease, newest?.newVersion);
  for (const { release, releaseVersion } of formations) add(release, releaseVersion);
  return named.values();
}

export function shapeOf(release: Release, app: App): ReleaseShape {
  const onePerHost = release.onePerHost ?? [];
  const types = Object.entries(specsOf(release, app)).map(([type, { health }]) => {
    const { startTimeoutMs, type: check } = health;
    const count = release.placements?.[type]?.count;
    const isOnePerHost = onePerHost.includes(type) || count === 'per-host';
    const isSingleton = count === 'singleton';
    const hasHostPorts = (release.placements?.[type]?.hostPorts ?? []).length > 0;
    const copies = release.copies?.[type];
    const several = copies === undefined ? {} : { copies };
    const hasHealthCheck = check !== 'none';
    return [
      type,
      { isOnePerHost, isSingleton, hasHostPorts, startTimeoutMs, hasHealthCheck, ...several },
    ] as const;
  });
  return { id: release.id, version: release.version, types: Object.fromEntries(types) };
}

/** `web.1` */
export function nameOf({ type, index }: Pick<Job, 'type' | 'index'>): string {
  return `${type}.${index}`;
}

export function seenJob(job: Job, status: JobStatus | undefined): SeenJob {
  const reason = status?.reason ?? (status ? undefined : job.pendingReason);
  return {
    id: job.id,
    kind: job.kind,
    release: job.release,
    type: job.type,
    name: nameOf(job),
    isWanted: job.desired === 'up',
    state: stateOf(job, status),
    isHealthy: status?.isHealthy ?? false,
    attempt: status?.attempt ?? 1,
    ...(reason === undefined ? {} : { reason }),
    ...(status?.startedAt === undefined ? {} : { startedAt: status.startedAt }),
  };
}
