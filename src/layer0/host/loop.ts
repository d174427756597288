// The agent: brings together what the store asks and what the engine has, and gives each job a worker.
// Everything that runs is adopted before anything is started or removed, and nothing is removed before the store was read.

import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop } from '#core/reconcile';
import { type Job, jobKey, jobPrefix } from '#layer0/scheduler/wire';
import {
  createMirror,
  listPages,
  type Mirror,
  type Revision,
  type Store,
  type WatchEvent,
} from '#layer0/store/client';
import type { ActDeps } from './act/outcome.ts';
import { keepDeadMs, maxDeadPerJob, resyncMs, stopLimitMs } from './config.ts';
import { Deadlines } from './deadlines.ts';
import { decideCollect } from './decide/collect.ts';
import { decideIntent } from './decide/intent.ts';
import { JobWorker } from './job-worker.ts';
import { labels } from './labels.ts';
import { LostMachines } from './lost-machines.ts';
import type { Container } from './runtime/runtime.ts';
import { isFinal } from './state.ts';
import { type JobStatus, statusPrefix } from './wire.ts';

export interface AgentDeps {
  store: Store;
  act: Omit<ActDeps, 'trigger' | 'incarnation' | 'isLost'>;
  clock: Clock;
  random: Random;
  log: Log;
  /** The engine is (again) there. */
  onEngine(): void;
}

/** How long news of jobs may be missing before singletons have their records read again. */
const quietMs = 1_000;

const engineBackoff = { minMs: 100, maxMs: 2_000 };

export class Agent {
  readonly #deps: AgentDeps;
  readonly #act: ActDeps;
  readonly #loop: Loop;
  readonly #workers = new Map<string, JobWorker>();
  readonly #abort = new AbortController();
  readonly #deadlines: Deadlines;
  readonly #adopted = Promise.withResolvers<void>();
  #jobs: Mirror<Job> | undefined;
  #lost: LostMachines | undefined;
  #following: Promise<void> | undefined;
  #statuses: Map<string, JobStatus> | undefined;
  #incarnation: string | undefined;
  #isEngineNew = true;
  #unsubscribe: (() => void) | undefined;

  constructor(deps: AgentDeps) {
    this.#deps = deps;
    this.#deadlines = new Deadlines(deps.clock);
    this.#act = {
      ...deps.act,
      trigger: (jobId) => this.#workers.get(jobId)?.trigger(),
      incarnation: () => this.#incarnation ?? '',
      isLost: (machine) => this.#lost?.has(machine) ?? false,
    };
    this.#loop = createLoop({
      name: 'host-agent',
      run: () => this.#pass(),
      resyncMs,
      backoff: engineBackoff,
      clock: deps.clock,
      random: deps.random,
      log: deps.log,
    });
  }

  start(): void {
    const { store, act, clock, random, log } = this.#deps;
    const { signal } = this.#abort;
    this.#jobs = createMirror<Job>(store, jobPrefix, {
      clock,
      random,
      log,
      signal,
      onChange: (change) => this.#onRecords(change),
    });
    this.#lost = new LostMachines({ store, clock, random, log, signal });
    this.#unsubscribe = act.discovery.watchConsumers(() => this.#onConsumers());
    this.#loop.start();
    this.#following = this.#follow(signal);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#unsubscribe?.();
    await this.#loop.stop();
    const ended = Promise.all([...this.#workers.values()].map((worker) => worker.stop()));
    const late = Promise.withResolvers<void>();
    const timer = this.#deps.clock.timer(stopLimitMs, late.resolve);
    await Promise.race([ended, late.promise]);
    timer.cancel();
    this.#workers.clear();
    await this.#following;
  }

  /** Resolves when everything that runs was adopted. */
  get adopted(): Promise<void> {
    return this.#adopted.promise;
  }

  get isAdopted(): boolean {
    return this.#statuses !== undefined;
  }

  /** Job records of every host; undefined before `start`. */
  get records(): Mirror<Job> | undefined {
    return this.#jobs;
  }

  worker(jobId: string): JobWorker | undefined {
    return this.#workers.get(jobId);
  }

  workers(): IterableIterator<JobWorker> {
    return this.#workers.values();
  }

  status(): Record<string, unknown> {
    return {
      isAdopted: this.isAdopted,
      isStoreConnected: this.#jobs?.isConnected ?? false,
      incarnation: this.#incarnation,
      loop: this.#loop.status(),
    };
  }

  /** Containers changed: called by the engine view. */
  onContainers(jobId: string | undefined): void {
    if (!this.#statuses || jobId === undefined) return;
    this.#assign(jobId);
    if (this.#act.engine.of(jobId).length > maxDeadPerJob + 1) this.#loop.trigger();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const relist = () => {
      this.#isEngineNew = true;
      this.#loop.trigger();
    };
    while (!signal.aborted) {
      try {
        await this.#act.engine.follow(signal, relist);
      } catch (error) {
        if (signal.aborted) return;
        this.#deps.log.warn({ err: error }, "the engine's events broke off");
        await this.#deps.clock.sleep(engineBackoff.maxMs, signal).catch(() => undefined);
      }
    }
  }

  async #pass(): Promise<void | { againMs: number }> {
    const { engine } = this.#act;
    await engine.resync();
    if (this.#isEngineNew) this.#deps.onEngine();
    this.#isEngineNew = false;
    const incarnation = this.#jobs?.revision?.incarnation;
    if (incarnation === undefined) return undefined;
    this.#statuses ??= await this.#readStatuses();
    if (this.#incarnation !== undefined && this.#incarnation !== incarnation) {
      this.#statuses = await this.#readStatuses();
      this.#sayAgain();
    }
    await this.#claimAddresses(incarnation);
    this.#incarnation = incarnation;
    this.#assignAll();
    this.#adopted.resolve();
    return this.#collect();
  }

  /** What was started when the store was another one has its address still, and this one may know nothing of it. */
  async #claimAddresses(incarnation: string): Promise<void> {
    if (this.#incarnation === incarnation) return;
    const { engine, network, config } = this.#act;
    for (const job of engine.jobIds())
      for (const { ip, state, labels: marks } of engine.of(job)) {
        const app = marks[labels.app];
        if (marks[labels.incarnation] === incarnation || state !== 'running') continue;
        if (ip && app) await network.claim({ app, job, host: config.hostId, ip });
      }
  }

  async #readStatuses(): Promise<Map<string, JobStatus>> {
    const statuses = new Map<string, JobStatus>();
    const { store, act } = this.#deps;
    for await (const { entries } of listPages<JobStatus>(store, statusPrefix))
      for (const { value } of entries)
        if (value.host === act.config.hostId) statuses.set(value.jobId, value);
    return statuses;
  }

  #onRecords(change: WatchEvent<Job>[] | 'resync'): void {
    if (change === 'resync' || !this.#statuses) this.#loop.trigger();
    else for (const { key } of change) this.#assign(key.slice(jobPrefix.length));
  }

  /** Resolves when the records of jobs are as new as this revision. Where none changes, they are read again. */
  async recordsSeen(revision: Revision): Promise<void> {
    const { clock } = this.#deps;
    const { signal } = this.#abort;
    let isSeen = false;
    const seen = this.#jobs?.caughtUp(revision).finally(() => {
      isSeen = true;
    });
    while (!isSeen && !signal.aborted) {
      await Promise.race([seen, clock.sleep(quietMs, signal).catch(() => undefined)]);
      if (!isSeen && this.#hasSingletons()) this.#jobs?.relist();
    }
    await seen;
  }

  #hasSingletons(): boolean {
    for (const { view } of this.#workers.values()) if (view.job?.isSingleton) return true;
    return false;
  }

  /** Singletons may run from now on, or may not any more. */
  onTenure(): void {
    for (const worker of this.#workers.values()) if (worker.view.job?.isSingleton) worker.trigger();
  }

  #onConsumers(): void {
    for (const worker of this.#workers.values())
      if (worker.view.memory.registered === 'draining') worker.trigger();
  }

  /** All of it: what is recorded here, what the engine has, and what is being driven. */
  #assignAll(): void {
    const { hostId } = this.#act.config;
    const ids = new Set<string>([...this.#act.engine.jobIds(), ...this.#workers.keys()]);
    for (const { value } of this.#jobs?.entries().values() ?? [])
      if (value.host === hostId) ids.add(value.id);
    for (const jobId of ids) this.#assign(jobId);
  }

  #assign(jobId: string): void {
    const record = this.#jobs?.get(jobKey(jobId))?.value;
    const isHere = record?.host === this.#act.config.hostId;
    const known = this.#workers.get(jobId);
    const containers = this.#act.engine.of(jobId);
    if (!known && !isHere && containers.length === 0) return;
    const worker = known ?? this.#hire(jobId);
    const incarnation = this.#jobs?.revision?.incarnation;
    if (record) worker.seenIn = incarnation;
    const seenIn = [worker.seenIn, ...containers.map((one) => one.labels[labels.incarnation])];
    const { hostId } = this.#act.config;
    const intent = decideIntent({ hostId, record, incarnation, seenIn });
    worker.set(isHere ? record : undefined, intent);
    if (intent === 'vacate') this.#act.statuses.drop(jobId);
    if (known) known.trigger();
    else worker.start();
  }

  #hire(jobId: string): JobWorker {
    const worker = new JobWorker(jobId, this.#statuses?.get(jobId), {
      act: this.#act,
      random: this.#deps.random,
      log: this.#deps.log,
      onPass: (passed) => this.#dismiss(passed),
    });
    this.#statuses?.delete(jobId);
    this.#workers.set(jobId, worker);
    return worker;
  }

  /** A job that is nobody's any more and has left nothing behind needs no worker. */
  #dismiss(worker: JobWorker): void {
    const { intent, containers, status } = worker.view;
    const isGone = intent === 'vacate' && worker.isSettled && containers.length === 0;
    const isForeign = intent === 'leave' && !status && containers.length === 0;
    if (!isGone && !isForeign) return;
    this.#workers.delete(worker.jobId);
    this.#act.prober.unwatch(worker.jobId);
    this.#act.ports.release(worker.jobId);
    void worker.stop();
  }

  /** The store came back as another one: it does not have what was written to the last one, and has what was taken back. */
  #sayAgain(): void {
    for (const { view } of this.#workers.values()) {
      view.memory.isAddressFree = false;
      if (view.status) this.#act.statuses.put(view.status);
    }
  }

  async #collect(): Promise<void | { againMs: number }> {
    const { engine, runtime, network, statuses, clock } = this.#act;
    const nowMs = clock.monotonicMs();
    const goesAtMs = ({ id, finishedAt, createdAt }: Container) =>
      this.#deadlines.dueMs(id, (finishedAt ?? createdAt) + keepDeadMs, keepDeadMs);
    const present = new Set<string>();
    let nextAtMs = Infinity;
    for (const { jobId, view } of this.#workers.values()) {
      // What nobody knows is left alone while it runs, and goes when it has ended by itself.
      const isNobodys = view.intent === 'leave' || view.intent === 'vacate';
      const isOver = isNobodys || (isFinal(view.status) && statuses.isWritten(jobId));
      const containers = engine.of(jobId);
      for (const { id } of containers) present.add(id);
      const answer = decideCollect({ containers, nowMs, goesAtMs, isNewestNeeded: !isOver });
      for (const id of answer.remove) {
        await runtime.remove(id);
        engine.forget(id);
      }
      const hasLeft = view.intent === 'leave' && engine.of(jobId).length === 0;
      if (hasLeft && !view.memory.isAddressFree) {
        await network.release(jobId);
        view.memory.isAddressFree = true;
      }
      nextAtMs = Math.min(nextAtMs, answer.nextAtMs ?? Infinity);
    }
    this.#deadlines.forgetAllBut(present);
    await this.#act.tenure.keep(present);
    return nextAtMs === Infinity ? undefined : { againMs: Math.max(0, nextAtMs - nowMs) };
  }
}
