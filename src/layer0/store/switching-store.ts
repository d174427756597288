// One store for all who use it in this process, while what is behind it changes: the embedded one, another member's, etcd's.
// On a switch every watch ends with store.compacted, so that its reader lists again, in the incarnation that is there now.

import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import type { ElectOptions, Leadership, ListOptions, WatchOptions } from './client.ts';
import { campaign } from './election.ts';
import { storeErrors } from './errors.ts';
import type { ServedStore } from './http.ts';
import type {
  Compare,
  Entry,
  Lease,
  Replacement,
  Revision,
  Snapshot,
  Txn,
  TxnResult,
  WatchBatch,
} from './wire.ts';

export interface SwitchingDeps {
  clock: Clock;
  random: Random;
  log: Log;
}

export class SwitchingStore implements ServedStore {
  readonly #deps: SwitchingDeps;
  #current: ServedStore;
  #switching = new AbortController();

  constructor(first: ServedStore, deps: SwitchingDeps) {
    this.#current = first;
    this.#deps = deps;
  }

  /** The one before is closed: writes that wait there are store.unavailable. */
  async switchTo(next: ServedStore): Promise<void> {
    const before = this.#current;
    const ending = this.#switching;
    this.#current = next;
    this.#switching = new AbortController();
    ending.abort();
    await before.close();
  }

  status(): unknown {
    return this.#current.status();
  }

  get<T>(key: string): Promise<Entry<T> | undefined> {
    return this.#current.get<T>(key);
  }

  list<T>(prefix: string, options?: ListOptions): Promise<Snapshot<T>> {
    return this.#current.list<T>(prefix, options);
  }

  txn(txn: Txn): Promise<TxnResult> {
    return this.#current.txn(txn);
  }

  async *watch<T>(prefix: string, options: WatchOptions): AsyncGenerator<WatchBatch<T>> {
    const { signal: switching } = this.#switching;
    const signal = options.signal ? AbortSignal.any([options.signal, switching]) : switching;
    yield* this.#current.watch<T>(prefix, { ...options, signal });
    if (switching.aborted && !options.signal?.aborted)
      throw storeErrors.compacted(`watch ${prefix}: the store has moved, list again`);
  }

  grantLease(ttlMs: number): Promise<Lease> {
    return this.#current.grantLease(ttlMs);
  }

  keepAlive(id: string): Promise<void> {
    return this.#current.keepAlive(id);
  }

  revokeLease(id: string): Promise<void> {
    return this.#current.revokeLease(id);
  }

  elect(name: string, options: ElectOptions): Promise<Leadership> {
    return campaign({ store: this, ...this.#deps }, name, options);
  }

  replaceAll(entries: readonly Replacement[], compare: readonly Compare[]): Promise<Revision> {
    return this.#current.replaceAll(entries, compare);
  }

  async close(): Promise<void> {
    await this.#current.close();
  }
}
