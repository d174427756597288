// The local copy that all schedulers of a process share: two mirrors that feed one state.
// Everything a transaction compares lies under one of them, so a commit can be waited for until it is seen here.

import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createMirror, type Mirror, type Revision, type Store } from '#layer0/store/client';
import type { WatchEvent } from '#layer0/store/wire';
import { ClusterState } from './cluster-state.ts';

const schedulerPrefix = 'scheduler/';
/** `hosts/`, `host/alive/`, `host/tags/` and `host/status/` in one stream. */
const hostPrefixes = 'host';

/** How often a view looks whether it still runs and still has the store. */
const beatMs = 500;
/** A process that did nothing for so long stood still. */
const stoodStillMs = 2_000;

export interface ClusterViewDeps {
  store: Store;
  clock: Clock;
  random: Random;
  log: Log;
}

export class ClusterView {
  readonly state: ClusterState;
  readonly #mirrors: Mirror<unknown>[];
  readonly #listeners = new Set<() => void>();
  readonly #clock: Clock;
  #wasReady = false;
  /** Monotonic, when this process was last seen to run. */
  #ranAtMs: number;

  constructor(deps: ClusterViewDeps, signal: AbortSignal) {
    this.#clock = deps.clock;
    this.#ranAtMs = deps.clock.monotonicMs();
    this.state = new ClusterState(() => deps.clock.monotonicMs());
    this.#mirrors = [schedulerPrefix, hostPrefixes].map((prefix) =>
      this.#follow(deps, prefix, signal),
    );
    this.#beat(signal);
  }

  #follow({ store, ...deps }: ClusterViewDeps, prefix: string, signal: AbortSignal) {
    const mirror: Mirror<unknown> = createMirror<unknown>(store, prefix, {
      ...deps,
      signal,
      onChange: (change) => {
        if (change === 'resync') this.state.replace(prefix, [...mirror.entries().values()]);
        else for (const event of change) this.#apply(event);
        for (const listener of this.#listeners) listener();
      },
    });
    return mirror;
  }

  /**
   * Call before a decision. While nobody looked, hosts that were away may have been back: absences begin anew when the
   * store is reached again, and when this process stood still.
   */
  noteTime(): void {
    const nowMs = this.#clock.monotonicMs();
    const stoodStill = nowMs - this.#ranAtMs > stoodStillMs;
    this.#ranAtMs = nowMs;
    const { isReady } = this;
    if (stoodStill || (isReady && !this.#wasReady)) this.state.restartAbsences();
    this.#wasReady = isReady;
  }

  /** The news of a connection that broke comes here, too. */
  #beat(signal: AbortSignal): void {
    if (signal.aborted) return;
    this.noteTime();
    this.#clock.timer(beatMs, () => this.#beat(signal));
  }

  #apply({ type, key, entry }: WatchEvent): void {
    if (type === 'put') this.state.put(entry);
    else this.state.delete(key);
  }

  /** False until both halves were read from one incarnation, and while the store is away: then nothing is decided. */
  get isReady(): boolean {
    const incarnation = this.revision?.incarnation;
    return this.#mirrors.every(
      ({ revision, isConnected }) =>
        isConnected && revision !== undefined && revision.incarnation === incarnation,
    );
  }

  /** Of the half that schedulers write. */
  get revision(): Revision | undefined {
    return this.#mirrors[0]?.revision;
  }

  async synced(): Promise<void> {
    await Promise.all(this.#mirrors.map(({ synced }) => synced));
  }

  /** Resolves when a commit of a scheduler is part of the state. */
  async caughtUp(revision: Revision): Promise<void> {
    await this.#mirrors[0]?.caughtUp(revision);
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }
}
