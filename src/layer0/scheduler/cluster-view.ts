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

  constructor(deps: ClusterViewDeps, signal: AbortSignal) {
    this.state = new ClusterState(() => deps.clock.monotonicMs());
    this.#mirrors = [schedulerPrefix, hostPrefixes].map((prefix) =>
      this.#follow(deps, prefix, signal),
    );
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
