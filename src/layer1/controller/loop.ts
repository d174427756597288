// Moves every app towards what people want. Runs in one controller at a time, the leader; the API serves without it.
// All state is in the store: a leader that dies at any step is followed by one that goes on from there.

import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop, type LoopStatus } from '#core/reconcile';
import type { Leadership, Store } from '#layer0/store/client';
import { collectApp, collectEvents, collectIdempotency, collectImageMarks } from './act/collect.ts';
import { act } from './act/steps.ts';
import { tellSuffixes } from './act/tell-suffixes.ts';
import { ImageArrivals } from './arrivals.ts';
import type { HostPort, SchedulerPort } from './context.ts';
import { decideApp } from './decide/app.ts';
import type { Observer } from './observe.ts';
import { Patience } from './patience.ts';
import { SeenEvents } from './seen-events.ts';
import { Steadiness } from './steadiness.ts';
import { isUnfinished, ReleaseCache, viewOf } from './view.ts';
import type { Deployment } from './wire.ts';

export const electionName = 'controller/deployments';
const resyncMs = 10_000;
/** Rounds of steps for one app in one pass; the rest follows in the next pass. */
const maxRounds = 20;
/** How soon to look again when somebody else changed what a step was decided on. */
const conflictMs = 20;
/** How soon to look again while the view is of another life of the store than the leadership, or is not kept up. */
const notReadyMs = 50;
/** How often what is too old is collected. */
const collectEveryMs = 60_000;

export interface LeaderDeps {
  store: Store;
  observer: Observer;
  scheduler: SchedulerPort;
  host: Pick<HostPort, 'spreadImage'>;
  clock: Clock;
  random: Random;
  log: Log;
  /** What the platform is under. */
  domain: string;
  deploySlackMs: number;
  deploySteadyMs: number;
}

/** The work of a leader, from its election to its end. */
export class LeaderLoop {
  readonly #deps: LeaderDeps;
  readonly #leadership: Leadership;
  readonly #releases: ReleaseCache;
  readonly #patience: Patience;
  readonly #steadiness: Steadiness;
  readonly #arrivals: ImageArrivals;
  readonly #seenEvents: SeenEvents;
  readonly #loop: Loop;
  #dirty = new Set<string>();
  #isAllDirty = true;
  /** Apps that were looked at since the last collection. */
  #collectable = new Set<string>();
  #resyncedAt = Number.NEGATIVE_INFINITY;
  #collectedAt = Number.NEGATIVE_INFINITY;
  #unlisten: () => void = () => undefined;

  constructor(deps: LeaderDeps, leadership: Leadership) {
    this.#deps = deps;
    this.#leadership = leadership;
    this.#releases = new ReleaseCache(deps.store);
    this.#patience = new Patience(deps.clock);
    this.#steadiness = new Steadiness(deps.clock);
    this.#arrivals = new ImageArrivals(deps, (app) => this.#changed(app));
    this.#seenEvents = new SeenEvents({ ...deps, fence: leadership.fence });
    const { clock, random, log } = deps;
    const run = (signal: AbortSignal) => this.#pass(signal);
    this.#loop = createLoop({ name: 'deployments', run, resyncMs, clock, random, log });
  }

  start(): void {
    this.#unlisten = this.#deps.observer.listen({
      changed: (app) => this.#changed(app),
      jobChanged: (change) => this.#seenEvents.tellJob(change),
      hostChanged: (change) => this.#seenEvents.tellHost(change),
    });
    this.#loop.start();
  }

  #changed(app: string | undefined): void {
    if (app === undefined) this.#isAllDirty = true;
    else this.#dirty.add(app);
    this.#loop.trigger();
  }

  async stop(): Promise<void> {
    this.#unlisten();
    await this.#loop.stop();
    await this.#seenEvents.stop();
  }

  status(): LoopStatus {
    return this.#loop.status();
  }

  async #pass(signal: AbortSignal): Promise<{ againMs: number } | undefined> {
    const { observer, clock } = this.#deps;
    await observer.ready;
    // Half of another store's state is no ground for anything, and neither is what was true before the news stayed away.
    if (!observer.isOf(this.#leadership.incarnation) || !observer.isConnected)
      return { againMs: notReadyMs };
    const isResync = clock.monotonicMs() - this.#resyncedAt >= resyncMs / 2;
    const all = this.#isAllDirty || isResync ? observer.apps().map(({ id }) => id) : [];
    if (all.length > 0) this.#resyncedAt = clock.monotonicMs();
    const changed = new Set(this.#isAllDirty ? all : this.#dirty);
    const apps = new Set([...changed, ...all]);
    this.#dirty = new Set();
    this.#isAllDirty = false;
    const failures: unknown[] = [];
    let againMs = resyncMs;
    for (const app of apps) {
      try {
        againMs = Math.min(againMs, await this.#advance(app, signal));
        if (changed.has(app)) this.#collectable.add(app);
      } catch (error) {
        // One app's trouble does not hold up the others; it is tried again with the failed pass.
        this.#dirty.add(app);
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    if (clock.monotonicMs() - this.#collectedAt >= collectEveryMs) await this.#collect();
    return { againMs };
  }

  async #collect(): Promise<void> {
    const deps = { ...this.#deps, fence: this.#leadership.fence };
    const apps = this.#collectable;
    this.#collectable = new Set();
    this.#collectedAt = this.#deps.clock.monotonicMs();
    const { observer } = this.#deps;
    const all = observer.apps().flatMap(({ id }) => observer.deployments(id));
    const open = all.map(({ value }) => value).filter(isUnfinished);
    this.#patience.forgetAllBut(new Set(open.map(({ id }) => id)));
    this.#steadiness.forgetAllBut(new Set(observer.apps().map(({ id }) => id)));
    await tellSuffixes(deps);
    await collectEvents(deps);
    if (apps.size === 0) return;
    for (const app of apps) await collectApp(deps, app);
    await collectImageMarks(deps);
    await collectIdempotency(deps);
  }

  /** Decides and acts until nothing is to do for now; answers how soon to look again. */
  async #advance(id: string, signal: AbortSignal): Promise<number> {
    const { observer, clock } = this.#deps;
    for (let round = 0; round < maxRounds; round++) {
      const app = observer.app(id);
      if (!app || signal.aborted || this.#leadership.lost.aborted) return resyncMs;
      const now = clock.now();
      const seen = await viewOf(app.value, { observer, releases: this.#releases, now });
      const view = {
        ...seen,
        deployments: this.#patience.adjust(seen.deployments),
        jobs: this.#steadiness.measure(id, seen.jobs),
        ...((await this.#isImageThere(id, seen.deployments)) ? {} : { isImageOnItsWay: true }),
      };
      const { steps, againMs } = decideApp(view, this.#deps);
      if (steps.length === 0) {
        // A time limit runs: this app is looked at again although nothing may change.
        return againMs === undefined ? resyncMs : this.#again(id, againMs);
      }
      for (const step of steps) {
        this.#deps.log.info({ app: app.value.name, ...step }, 'step');
        const context = {
          ...this.#deps,
          app,
          releases: this.#releases,
          fence: this.#leadership.fence,
        };
        const { ok, revision, keys } = await act(context, step);
        if (!ok) return this.#again(id, conflictMs);
        // Its images are needed no more: people delete apps to have room.
        if (step.type === 'purge') this.#collectedAt = Number.NEGATIVE_INFINITY;
        if (revision) await observer.caughtUp(revision, keys ?? [], signal);
      }
    }
    return this.#again(id, 0);
  }

  /** Of the release that is to be rolled out next. */
  async #isImageThere(app: string, deployments: readonly Deployment[]): Promise<boolean> {
    const next = deployments.findLast(({ state }) => state === 'pending');
    if (!next) return true;
    const imageId = (await this.#releases.read(app, next.newRelease))?.imageId;
    return imageId === undefined || this.#arrivals.isThere(next, imageId);
  }

  #again(id: string, ms: number): number {
    this.#dirty.add(id);
    return ms;
  }
}
