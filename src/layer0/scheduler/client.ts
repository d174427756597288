// The door of the scheduler: ask for jobs, stop them, say what should run. Works through any store, in any process.

import type { Clock } from '#core/clock';
import { newId } from '#core/ids';
import { type JobStatus, statusKey } from '#layer0/host/wire';
import {
  type Compare,
  type Entry,
  listPages,
  type Operation,
  type Store,
} from '#layer0/store/client';
import { schedulerErrors } from './errors.ts';
import { isEnded, stateOf, waitsFor } from './state.ts';
import {
  appClaimKey,
  type Claim,
  type Formation,
  formationKey,
  type Job,
  type JobSpec,
  jobKey,
  jobPrefix,
  type PlacementRules,
} from './wire.ts';

export { isBound, isEnded, stateOf } from './state.ts';
export type { Formation, Job, JobSpec } from './wire.ts';

export interface EphemeralRequest {
  app: string;
  appName: string;
  release: string;
  releaseVersion: number;
  /** `run`, `build`. */
  type: string;
  spec: JobSpec;
  priority?: number;
  placement?: Job['placement'];
  rules?: PlacementRules;
  /** One of your own instead of ours. */
  scheduler?: string;
  /** Written in the transaction that makes the job: what its owner says about it. */
  alongside?: (job: string) => Operation[];
}

export interface ObservedJob {
  job: Job;
  status: JobStatus | undefined;
}

export interface SchedulerClient {
  /** Writes a pending one-off job and returns its id; the scheduler places it. */
  runEphemeral(request: EphemeralRequest): Promise<string>;
  /** Asks the job to stop; one that is already asked is no error. scheduler.jobNotFound when there is none. */
  stopJob(id: string): Promise<void>;
  putFormation(formation: Formation): Promise<void>;
  /** Its jobs are stopped; absent is no error. */
  deleteFormation(app: string, release: string): Promise<void>;
  readJob(id: string): Promise<ObservedJob | undefined>;
  /** Every job of the app, by type and number. */
  readJobs(app: string): Promise<ObservedJob[]>;
  /** The job now and after each change; ends when its record is removed or the signal fires. */
  watchJob(id: string, signal: AbortSignal): AsyncGenerator<ObservedJob>;
  /** Resolves with the first observation that `isWanted`; undefined when the record is gone before. */
  waitForJob(
    id: string,
    isWanted: (seen: ObservedJob) => boolean,
    signal: AbortSignal,
  ): Promise<ObservedJob | undefined>;
}

export interface SchedulerClientDeps {
  store: Store;
  clock: Clock;
  newJobId?: () => string;
}

/** Tries of a write that others keep conflicting with. */
const maxTries = 10;

export function createSchedulerClient(deps: SchedulerClientDeps): SchedulerClient {
  return new StoreSchedulerClient(deps);
}

/** What a one-off's waiter asks for: `waitForJob(id, hasEnded, signal)`. */
export function hasEnded({ job, status }: ObservedJob): boolean {
  return isEnded(job, status);
}

export function isUp({ job, status }: ObservedJob): boolean {
  return stateOf(job, status) === 'up';
}

class StoreSchedulerClient implements SchedulerClient {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #newJobId: () => string;

  constructor({ store, clock, newJobId = () => newId('job') }: SchedulerClientDeps) {
    this.#store = store;
    this.#clock = clock;
    this.#newJobId = newJobId;
  }

  async runEphemeral(request: EphemeralRequest): Promise<string> {
    const { priority = 0, placement = 'spread', alongside = () => [], ...rest } = request;
    const id = this.#newJobId();
    await this.#commit(request.app, `run ${request.type} of ${request.appName}`, async (claim) => {
      const index = (claim.lastEphemeralIndex ?? 0) + 1;
      const job: Job = {
        id,
        kind: 'ephemeral',
        index,
        priority,
        placement,
        ...rest,
        pendingReason:
          request.scheduler === undefined ? 'not looked at yet' : waitsFor(request.scheduler),
        desired: 'up',
        createdAt: this.#clock.now(),
      };
      // Seen again when the answer of an earlier try was lost.
      const written: Compare = { key: jobKey(id), is: 'absent' };
      return {
        claim: { ...claim, lastEphemeralIndex: index },
        compare: [written],
        operations: [{ put: jobKey(id), value: job }, ...alongside(id)],
      };
    });
    return id;
  }

  async stopJob(id: string): Promise<void> {
    const app = (await this.#requireJob(id)).value.app;
    await this.#commit(app, `stop ${id}`, async (claim) => {
      const { value, modRevision } = await this.#requireJob(id);
      if (value.desired === 'down') return undefined;
      const stopped: Job = { ...value, desired: 'down' };
      return {
        claim,
        compare: [{ key: jobKey(id), modRevision }],
        operations: [{ put: jobKey(id), value: stopped }],
      };
    });
  }

  async putFormation(formation: Formation): Promise<void> {
    const { app, release } = formation;
    await this.#store.txn({
      compare: [],
      operations: [{ put: formationKey(app, release), value: formation }],
    });
  }

  async deleteFormation(app: string, release: string): Promise<void> {
    await this.#store.txn({ compare: [], operations: [{ delete: formationKey(app, release) }] });
  }

  async readJob(id: string): Promise<ObservedJob | undefined> {
    const job = await this.#store.get<Job>(jobKey(id));
    if (!job) return undefined;
    const status = await this.#store.get<JobStatus>(statusKey(id));
    return { job: job.value, status: status?.value };
  }

  async readJobs(app: string): Promise<ObservedJob[]> {
    const jobs: Job[] = [];
    for await (const { entries } of listPages<Job>(this.#store, jobPrefix))
      for (const { value } of entries) if (value.app === app) jobs.push(value);
    jobs.sort((a, b) => (a.type < b.type ? -1 : a.type > b.type ? 1 : a.index - b.index));
    return await Promise.all(
      jobs.map(async (job) => ({
        job,
        status: (await this.#store.get<JobStatus>(statusKey(job.id)))?.value,
      })),
    );
  }

  async *watchJob(id: string, signal: AbortSignal): AsyncGenerator<ObservedJob> {
    const revision = (await this.#store.list(jobKey(id), { limit: 1 })).revision;
    let seen = await this.readJob(id);
    if (!seen) return;
    yield seen;
    const ended = new AbortController();
    const watching = AbortSignal.any([signal, ended.signal]);
    const keys = new Set([jobKey(id), statusKey(id)]);
    try {
      for await (const { events } of this.#store.watch('', { from: revision, signal: watching })) {
        if (!events.some(({ key }) => keys.has(key))) continue;
        seen = await this.readJob(id);
        if (!seen) return;
        yield seen;
      }
    } finally {
      ended.abort();
    }
  }

  async waitForJob(
    id: string,
    isWanted: (seen: ObservedJob) => boolean,
    signal: AbortSignal,
  ): Promise<ObservedJob | undefined> {
    for await (const seen of this.watchJob(id, signal)) if (isWanted(seen)) return seen;
    signal.throwIfAborted();
    return undefined;
  }

  async #requireJob(id: string): Promise<Entry<Job>> {
    const entry = await this.#store.get<Job>(jobKey(id));
    if (!entry) throw schedulerErrors.jobNotFound(`there is no job ${id}`);
    return entry;
  }

  /** Changes an app's set of jobs: the claim makes a scheduler that decides at the same time look again. */
  async #commit(
    app: string,
    attempted: string,
    change: (
      claim: Claim,
    ) => Promise<{ claim: Claim; compare: Compare[]; operations: Operation[] } | undefined>,
  ): Promise<void> {
    const key = appClaimKey(app);
    for (let tries = 0; tries < maxTries; tries++) {
      const known = await this.#store.get<Claim>(key);
      const wanted = await change({ ...known?.value, by: 'client' });
      if (!wanted) return;
      const unchanged: Compare = known
        ? { key, modRevision: known.modRevision }
        : { key, is: 'absent' };
      const { ok } = await this.#store.txn({
        compare: [unchanged, ...wanted.compare],
        operations: [...wanted.operations, { put: key, value: wanted.claim }],
      });
      if (ok) return;
    }
    throw schedulerErrors.conflict(
      `could not ${attempted}: others changed the app's jobs at the same time, ${maxTries} times in a row`,
    );
  }
}
