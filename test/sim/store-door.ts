// The store as one process reaches it: in its own process or over the network, with calls that fail or whose answer is lost.

import { coreErrors } from '#core/errors';
import { silentLog } from '#core/log';
import { AsyncQueue } from '#core/stream';
import type {
  Compare,
  ElectOptions,
  Entry,
  Leadership,
  Lease,
  ListOptions,
  Replacement,
  Revision,
  Snapshot,
  Store,
  Txn,
  TxnResult,
  WatchBatch,
  WatchOptions,
} from '#layer0/store/client';
import { campaign } from '../../src/layer0/store/election.ts';
import { storeErrors } from '../../src/layer0/store/errors.ts';
import type { Faults } from './faults.ts';
import type { Life } from './life.ts';

/** Where the store is now, if it is anywhere. */
export interface StoreHouse {
  serving: { store: Store; life: Life } | undefined;
  /** Compares that the store does not look at: a guard taken out, to show what it is for. */
  ignores?: (compare: Compare) => boolean;
}

/** Batches that a watcher may leave unread. */
const maxUnread = 10_000;

export class StoreDoor implements Store {
  readonly #house: StoreHouse;
  readonly #life: Life;
  readonly #faults: Faults;

  constructor(house: StoreHouse, life: Life, faults: Faults) {
    this.#house = house;
    this.#life = life;
    this.#faults = faults;
  }

  get<T>(key: string): Promise<Entry<T> | undefined> {
    return this.#call((store) => store.get<T>(key));
  }

  list<T>(prefix: string, options?: ListOptions): Promise<Snapshot<T>> {
    return this.#call((store) => store.list<T>(prefix, options));
  }

  txn(txn: Txn): Promise<TxnResult> {
    const { ignores } = this.#house;
    const compare = ignores ? txn.compare.filter((one) => !ignores(one)) : txn.compare;
    return this.#call((store) => store.txn({ ...txn, compare }));
  }

  grantLease(ttlMs: number): Promise<Lease> {
    return this.#call((store) => store.grantLease(ttlMs));
  }

  keepAlive(id: string): Promise<void> {
    return this.#call((store) => store.keepAlive(id));
  }

  revokeLease(id: string): Promise<void> {
    return this.#call((store) => store.revokeLease(id));
  }

  elect(name: string, options: ElectOptions): Promise<Leadership> {
    const { clock } = this.#life;
    return campaign(
      { store: this, clock, random: this.#faults.random, log: silentLog },
      name,
      options,
    );
  }

  replaceAll(entries: readonly Replacement[], compare: readonly Compare[]): Promise<Revision> {
    return this.#call((store) => store.replaceAll(entries, compare));
  }

  async close(): Promise<void> {}

  async *watch<T>(prefix: string, options: WatchOptions): AsyncGenerator<WatchBatch<T>> {
    const { serving } = this.#house;
    if (!serving?.life.isAlive) throw away(`watch ${prefix}`);
    const broken = new AbortController();
    const signals = [broken.signal, this.#life.ended, ...(options.signal ? [options.signal] : [])];
    const queue = new AsyncQueue<WatchBatch<T>>(maxUnread);
    const lose = () => queue.fail(away(`watch ${prefix}`));
    serving.life.ended.addEventListener('abort', lose, { once: true });
    const batches = serving.store.watch<T>(prefix, {
      ...options,
      signal: AbortSignal.any(signals),
    });
    void this.#pump(batches, queue);
    try {
      for await (const batch of queue) {
        if (this.#faults.stalls()) await this.#life.clock.sleep(this.#faults.delayMs());
        await this.#life.awake();
        yield batch;
        if (this.#faults.drops()) throw away(`watch ${prefix}`);
      }
    } finally {
      serving.life.ended.removeEventListener('abort', lose);
      broken.abort();
    }
  }

  async #pump<T>(batches: AsyncIterable<WatchBatch<T>>, queue: AsyncQueue<WatchBatch<T>>) {
    try {
      for await (const batch of batches) queue.push(batch);
      queue.close();
    } catch (error) {
      queue.fail(error);
    }
  }

  #call<T>(work: (store: Store) => Promise<T>): Promise<T> {
    return this.#life.outside(async () => {
      const fault = this.#faults.draw();
      if (fault === 'slow') await this.#life.clock.sleep(this.#faults.delayMs());
      const { serving } = this.#house;
      if (!serving?.life.isAlive || fault === 'refuse') throw away('call the store');
      const { ended } = serving.life;
      const answer = await new Promise<T>((resolve, reject) => {
        const lose = () => reject(coreErrors.unreachable('the store closed the connection'));
        ended.addEventListener('abort', lose, { once: true });
        work(serving.store)
          .then(resolve, reject)
          .finally(() => ended.removeEventListener('abort', lose));
      });
      if (fault === 'lose') throw coreErrors.timeout('the answer of the store was lost');
      return answer;
    });
  }
}

function away(attempted: string) {
  return storeErrors.unavailable(`${attempted}: the store does not answer`);
}
