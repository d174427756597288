// What the controller sees: mirrors of its own apps and deployments, and of what layer 0 says about formations and jobs.
// Kept by every controller, leader or not, so that a new leader starts with a warm view.

import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import {
  hostAlivePrefix,
  hostPrefix,
  type JobStatus,
  statusKey,
  statusPrefix,
} from '#layer0/host/wire';
import { type Formation, formationPrefix, type Job, jobPrefix } from '#layer0/scheduler/wire';
import {
  createMirror,
  type Entry,
  type Mirror,
  type Revision,
  type Store,
  type WatchEvent,
} from '#layer0/store/client';
import { Absences } from './absences.ts';
import {
  type App,
  appPrefix,
  type Deployment,
  deploymentRoot,
  type Token,
  tokenKey,
  tokenPrefix,
} from './wire.ts';

/** Longest wait for the view to include a commit of our own: the store may be away. */
const maxLagMs = 5_000;

export interface ObserveDeps {
  store: Store;
  clock: Clock;
  random: Random;
  log: Log;
}

export interface JobChange {
  job: Job;
  before: JobStatus | undefined;
  after: JobStatus;
}

/** A machine is heard of, or its lease has ended. */
export interface HostChange {
  id: string;
  name: string;
  isAlive: boolean;
}

export interface ObserveListener {
  /** Something of this app changed; undefined: possibly everything. */
  changed(app: string | undefined): void;
  /** A status moved on while we watched; not called for what is found at the start. */
  jobChanged?(change: JobChange): void;
  /** The same for machines; one that was taken out is not told of. */
  hostChanged?(change: HostChange): void;
}

export interface Observer {
  readonly ready: Promise<void>;
  readonly isConnected: boolean;
  /** All of the view was read from this incarnation of the store, and from no other. */
  isOf(incarnation: string): boolean;
  apps(): App[];
  app(id: string): Entry<App> | undefined;
  /** Of one app, in the order of their creation. */
  deployments(app: string): Entry<Deployment>[];
  formations(app: string): Entry<Formation>[];
  allFormations(): Iterable<Entry<Formation>>;
  jobs(app: string): Job[];
  allJobs(): Iterable<Job>;
  status(job: string): JobStatus | undefined;
  /** Machines that are alive. */
  hostCount(): number;
  /** Machines that belong to the cluster, those that are away too. */
  machineCount(): number;
  /** Milliseconds since machines were seen to go, by host id; those that this process never saw are not in it. */
  silentFor(): ReadonlyMap<string, number>;
  /** Whose token has this hash, as far as the store was last seen. */
  token(hash: string): Token | undefined;
  listen(listener: ObserveListener): () => void;
  /** Resolves when the view includes a commit of ours to these keys, or after a while, or when the signal fires. */
  caughtUp(revision: Revision, keys: readonly string[], signal: AbortSignal): Promise<void>;
  stop(): void;
}

export function createObserver(deps: ObserveDeps): Observer {
  return new MirroredObserver(deps);
}

class MirroredObserver implements Observer {
  readonly ready: Promise<void>;
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  readonly #listeners = new Set<ObserveListener>();
  readonly #apps: Mirror<App>;
  readonly #deployments: Mirror<Deployment>;
  readonly #formations: Mirror<Formation>;
  readonly #jobs: Mirror<Job>;
  readonly #statuses: Mirror<JobStatus>;
  readonly #alive: Mirror<unknown>;
  readonly #machines: Mirror<{ name: string }>;
  readonly #tokens: Mirror<Token>;
  /** Jobs by app, so that one app's view does not cost a walk over all. */
  readonly #jobsByApp = new Map<string, Set<string>>();
  readonly #lastStatus = new Map<string, JobStatus>();
  readonly #absences: Absences;

  constructor(deps: ObserveDeps) {
    this.#clock = deps.clock;
    this.#absences = new Absences(deps.clock);
    const follow = <T>(prefix: string, onChange: (change: WatchEvent<T>[] | 'resync') => void) =>
      createMirror<T>(deps.store, prefix, { ...deps, signal: this.#abort.signal, onChange });
    const tell =
      <T>(appOf: (value: T) => string | undefined) =>
      (change: WatchEvent<T>[] | 'resync') => {
        if (change === 'resync') return this.#tell(undefined);
        for (const app of new Set(change.map(({ entry }) => appOf(entry.value)))) this.#tell(app);
      };
    this.#apps = follow<App>(
      appPrefix,
      tell(({ id }) => id),
    );
    this.#deployments = follow<Deployment>(
      deploymentRoot,
      tell(({ app }) => app),
    );
    this.#formations = follow<Formation>(
      formationPrefix,
      tell(({ app }) => app),
    );
    const tellJob = tell<Job>(({ app }) => app);
    this.#jobs = follow<Job>(jobPrefix, (change) => {
      this.#index(change);
      tellJob(change);
    });
    this.#statuses = follow<JobStatus>(statusPrefix, (change) => this.#statusChanged(change));
    this.#alive = follow<unknown>(hostAlivePrefix, (change) => {
      const keys = [...this.#alive.entries().keys()];
      this.#absences.see(new Set(keys.map((key) => key.slice(hostAlivePrefix.length))));
      if (change !== 'resync') for (const event of change) this.#tellHost(event);
      this.#tell(undefined);
    });
    this.#machines = follow<{ name: string }>(hostPrefix, () => this.#tell(undefined));
    this.#tokens = follow<Token>(tokenPrefix, () => undefined);
    this.ready = Promise.all(this.#all().map(({ synced }) => synced)).then(() => undefined);
    this.ready.catch(() => undefined);
  }

  get isConnected(): boolean {
    return this.#all().every(({ isConnected }) => isConnected);
  }

  isOf(incarnation: string): boolean {
    return this.#all().every(({ revision }) => revision?.incarnation === incarnation);
  }

  apps(): App[] {
    return [...this.#apps.entries().values()].map(({ value }) => value);
  }

  app(id: string): Entry<App> | undefined {
    return this.#apps.get(`${appPrefix}${id}`);
  }

  deployments(app: string): Entry<Deployment>[] {
    return [...this.#deployments.entries().values()]
      .filter(({ value }) => value.app === app)
      .sort((a, b) => a.createRevision - b.createRevision);
  }

  formations(app: string): Entry<Formation>[] {
    return [...this.#formations.entries().values()].filter(({ value }) => value.app === app);
  }

  allFormations(): Iterable<Entry<Formation>> {
    return this.#formations.entries().values();
  }

  jobs(app: string): Job[] {
    const ids = this.#jobsByApp.get(app) ?? [];
    return [...ids].flatMap((id) => this.#jobs.get(`${jobPrefix}${id}`)?.value ?? []);
  }

  *allJobs(): Iterable<Job> {
    for (const { value } of this.#jobs.entries().values()) yield value;
  }

  status(job: string): JobStatus | undefined {
    return this.#statuses.get(statusKey(job))?.value;
  }

  hostCount(): number {
    return this.#alive.entries().size;
  }

  machineCount(): number {
    return this.#machines.entries().size;
  }

  silentFor(): ReadonlyMap<string, number> {
    return this.#absences.silentFor();
  }

  token(hash: string): Token | undefined {
    return this.#tokens.get(tokenKey(hash))?.value;
  }

  listen(listener: ObserveListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  caughtUp(revision: Revision, keys: readonly string[], signal: AbortSignal): Promise<void> {
    const written: [string, Mirror<unknown>][] = [
      [appPrefix, this.#apps],
      [deploymentRoot, this.#deployments],
      [formationPrefix, this.#formations],
    ];
    const touched = written.filter(([prefix]) => keys.some((key) => key.startsWith(prefix)));
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.#clock.timer(maxLagMs, done);
      signal.addEventListener('abort', done, { once: true });
      Promise.all(touched.map(([, mirror]) => mirror.caughtUp(revision))).then(done, done);
    });
  }

  stop(): void {
    this.#abort.abort();
    this.#listeners.clear();
  }

  #all(): Mirror<unknown>[] {
    return [
      this.#apps,
      this.#deployments,
      this.#formations,
      this.#jobs,
      this.#statuses,
      this.#alive,
      this.#machines,
      this.#tokens,
    ];
  }

  #tell(app: string | undefined): void {
    for (const listener of this.#listeners) listener.changed(app);
  }

  #tellHost({ type, entry }: WatchEvent<unknown>): void {
    const id = entry.key.slice(hostAlivePrefix.length);
    const machine = this.#machines.get(`${hostPrefix}${id}`)?.value;
    if (!machine) return;
    const change = { id, name: machine.name, isAlive: type === 'put' };
    for (const listener of this.#listeners) listener.hostChanged?.(change);
  }

  #index(change: WatchEvent<Job>[] | 'resync'): void {
    if (change === 'resync') {
      this.#jobsByApp.clear();
      for (const { value } of this.#jobs.entries().values()) this.#addJob(value);
      return;
    }
    for (const { type, entry } of change) {
      if (type === 'put') this.#addJob(entry.value);
      else this.#removeJob(entry.value);
    }
  }

  #removeJob({ app, id }: Job): void {
    const ids = this.#jobsByApp.get(app);
    ids?.delete(id);
    if (ids?.size === 0) this.#jobsByApp.delete(app);
  }

  #addJob(job: Job): void {
    const ids = this.#jobsByApp.get(job.app) ?? new Set();
    this.#jobsByApp.set(job.app, ids.add(job.id));
  }

  #statusChanged(change: WatchEvent<JobStatus>[] | 'resync'): void {
    if (change === 'resync') {
      this.#lastStatus.clear();
      for (const { value } of this.#statuses.entries().values())
        this.#lastStatus.set(value.jobId, value);
      this.#tell(undefined);
      return;
    }
    for (const { type, entry } of change) {
      const { value } = entry;
      const before = this.#lastStatus.get(value.jobId);
      if (type === 'delete') this.#lastStatus.delete(value.jobId);
      else this.#lastStatus.set(value.jobId, value);
      const job = this.#jobs.get(`${jobPrefix}${value.jobId}`)?.value;
      if (!job) continue;
      if (type === 'put')
        for (const listener of this.#listeners)
          listener.jobChanged?.({ job, before, after: value });
      this.#tell(job.app);
    }
  }
}
