// What every scheduler is: campaign -> lead -> (the copy changed -> decide -> commit one transaction -> see it) until deposed.
// A scheduler adds only its pure decision. A conflict costs a new decision on fresh state, and is counted.

import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';
import { newId } from '#core/ids';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop, type LoopStatus } from '#core/reconcile';
import { backoffMs } from '#core/retry';
import type { Leadership, Revision, Store } from '#layer0/store/client';
import type { ClusterState } from './cluster-state.ts';
import type { ClusterView } from './cluster-view.ts';
import { toCommit } from './commit.ts';
import type { SchedulerConfig } from './config.ts';
import type { DecideContext, Step } from './decide/steps.ts';
import { schedulerErrors } from './errors.ts';

/** After a conflict the change that caused it is on its way: a short wait instead of a race, longer where they go on. */
const conflictBackoff = { minMs: 20, maxMs: 1000 };
/** Longest wait to see the own commit come back. */
const echoTimeoutMs = 10_000;
/** Waits between campaigns while the store is away. */
const campaignBackoff = { minMs: 100, maxMs: 5_000 };

/** The part that differs between schedulers: pure, lazily read, first step first. */
export interface Decider {
  decide(state: ClusterState, context: DecideContext): Iterable<Step>;
  /** When time alone will make a difference, milliseconds from now. */
  nextInMs(state: ClusterState, context: DecideContext): number | undefined;
  /** A leader begins: nothing that an earlier one knew counts. */
  begin(state: ClusterState): void;
  /** Nothing was left to decide on this state: it need not be looked at again until it changes. */
  settled(state: ClusterState): void;
}

export interface ElectedSchedulerDeps {
  store: Store;
  view: ClusterView;
  clock: Clock;
  random: Random;
  log: Log;
  newJobId?: () => string;
  /** Sees every committed step: traces of tests. */
  onSteps?: (name: string, steps: Step[]) => void;
}

export interface SchedulerStatus {
  name: string;
  isLeader: boolean;
  commits: number;
  conflicts: number;
  /** Since the last commit. */
  conflictsInRow: number;
  steps: number;
  loop: LoopStatus;
}

export class ElectedScheduler {
  readonly #name: string;
  readonly #identity: string;
  readonly #decider: Decider;
  readonly #deps: ElectedSchedulerDeps;
  readonly #config: SchedulerConfig;
  readonly #loop: Loop;
  readonly #stop = new AbortController();
  readonly #counts = { commits: 0, conflicts: 0, conflictsInRow: 0, steps: 0 };
  #leadership: Leadership | undefined;
  #campaign: Promise<void> | undefined;

  constructor(
    { name, identity }: { name: string; identity: string },
    decider: Decider,
    deps: ElectedSchedulerDeps,
    config: SchedulerConfig,
  ) {
    this.#name = name;
    this.#identity = identity;
    this.#decider = decider;
    this.#deps = deps;
    this.#config = config;
    this.#loop = createLoop({
      name: `scheduler/${name}`,
      resyncMs: 60_000,
      clock: deps.clock,
      random: deps.random,
      log: deps.log,
      run: (signal) => this.#run(signal),
    });
    deps.view.onChange(() => this.#loop.trigger());
  }

  start(): void {
    this.#campaign ??= this.#lead();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#campaign;
  }

  status(): SchedulerStatus {
    const isLeader = this.#leadership !== undefined && !this.#leadership.lost.aborted;
    return { name: this.#name, isLeader, ...this.#counts, loop: this.#loop.status() };
  }

  async #lead(): Promise<void> {
    const { store, clock, random, log } = this.#deps;
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const campaign = {
          identity: this.#identity,
          ttlMs: this.#config.electionTtlMs,
          signal,
          // One daemon at a time has this machine's store open: a claim of its name is from its last life.
          reclaims: true as const,
        };
        this.#leadership = await store.elect(`scheduler/${this.#name}`, campaign);
        failures = 0;
        await this.#reign(this.#leadership);
      } catch (error) {
        if (signal.aborted) return;
        failures++;
        log.warn({ err: error, scheduler: this.#name }, 'campaign failed');
        await clock.sleep(backoffMs(failures, campaignBackoff, random), signal).catch(stopped);
      }
    }
  }

  async #reign(leadership: Leadership): Promise<void> {
    this.#deps.log.info({ scheduler: this.#name, identity: this.#identity }, 'leading');
    this.#decider.begin(this.#deps.view.state);
    this.#loop.start();
    await new Promise<void>((resolve) => {
      for (const signal of [leadership.lost, this.#stop.signal])
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await this.#loop.stop();
    this.#leadership = undefined;
    if (!leadership.lost.aborted) await leadership.resign();
  }

  async #run(signal: AbortSignal): Promise<void | { againMs: number }> {
    const { view, clock } = this.#deps;
    const leadership = this.#leadership;
    while (!signal.aborted && leadership && !leadership.lost.aborted && view.isReady) {
      view.noteTime();
      const context = this.#context();
      const commit = toCommit(this.#decider.decide(view.state, context), view.state, {
        by: this.#name,
        fence: leadership.fence,
        incarnation: view.revision?.incarnation ?? '',
        nowMs: clock.now(),
        newJobId: this.#deps.newJobId ?? (() => newId('job')),
      });
      if (!commit) {
        this.#decider.settled(view.state);
        const againMs = this.#decider.nextInMs(view.state, context);
        return againMs === undefined ? undefined : { againMs };
      }
      const result = await this.#deps.store.txn(commit.txn);
      if (!result.ok) {
        this.#counts.conflicts++;
        this.#counts.conflictsInRow++;
        const { random } = this.#deps;
        return { againMs: backoffMs(this.#counts.conflictsInRow, conflictBackoff, random) };
      }
      this.#counts.commits++;
      this.#counts.conflictsInRow = 0;
      this.#counts.steps += commit.steps.length;
      this.#deps.onSteps?.(this.#name, commit.steps);
      await this.#seeOwn(result.revision, signal);
    }
  }

  async #seeOwn(revision: Revision, signal: AbortSignal): Promise<void> {
    const { clock, view } = this.#deps;
    const done = new AbortController();
    const limit = clock.sleep(echoTimeoutMs, AbortSignal.any([signal, done.signal])).then(() => {
      throw schedulerErrors.behind(
        `commit ${revision.revision} did not come back within ${echoTimeoutMs} ms: is the store's watch alive?`,
      );
    });
    try {
      await Promise.race([view.caughtUp(revision), limit]);
    } catch (error) {
      if (!signal.aborted) throw toAppError(error);
    } finally {
      done.abort();
      limit.catch(stopped);
    }
  }

  #context(): DecideContext {
    const { clock } = this.#deps;
    const { hostLossGraceMs, hostLeaseMs, ephemeralKeepMs } = this.#config;
    const nowMs = clock.now();
    const monotonicMs = clock.monotonicMs();
    const patience = { hostLossGraceMs, hostLeaseMs, ephemeralKeepMs };
    return { nowMs, monotonicMs, limits: this.#config, ...patience };
  }
}

/** The wait was given up: whoever gave it up looks at the signal. */
function stopped(): void {}
