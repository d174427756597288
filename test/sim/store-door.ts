// The store as one process reaches it: in its own process or over the network, with calls that fail, come late or twice, or
// whose answer is lost, and ways that are cut. Whoever asks gives up as the production client does.

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
import type { Links } from './links.ts';

/** Where the store is now, if it is anywhere. */
export interface StoreHouse {
  serving: Serving | undefined;
  /** Compares that the store does not look at: a guard taken out, to show what it is for. */
  ignores?: (compare: Compare) => boolean;
  /** A batch that is lost breaks no stream. */
  losesNews?: boolean;
  /** The members that have the store do not speak with this machine. */
  refuses?(place: string): boolean;
}

export interface Serving {
  store: Store;
  life: Life;
  /** Its place among the links; absent: every process reaches it. */
  at?: string;
}

/** From where a process asks. */
export interface Place {
  id: string;
  links: Links;
}

/** Batches that a watcher may leave unread. */
const maxUnread = 10_000;
/** Those of src/core/http-client.ts: for an answer, and for a sign of life of a stream. */
const answerTimeoutMs = 10_000;
const silenceMs = 15_000;

export class StoreDoor implements Store {
  readonly #house: StoreHouse;
  readonly #life: Life;
  readonly #faults: Faults;
  readonly #place: Place | undefined;
  readonly #streams = new Set<() => void>();

  constructor(house: StoreHouse, life: Life, faults: Faults, place?: Place) {
    this.#house = house;
    this.#life = life;
    this.#faults = faults;
    this.#place = place;
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

  /** What a member does with the connections of a machine that was taken out of the cluster. */
  endStreams(): void {
    for (const end of [...this.#streams]) end();
  }

  async *watch<T>(prefix: string, options: WatchOptions): AsyncGenerator<WatchBatch<T>> {
    const { serving } = this.#house;
    if (!serving?.life.isAlive || this.#isRefused()) throw away(`watch ${prefix}`);
    if (!(await this.#isHeard(serving, answerTimeoutMs))) throw silent(`watch ${prefix}`);
    if (!serving.life.isAlive) throw away(`watch ${prefix}`);
    const broken = new AbortController();
    const signals = [broken.signal, this.#life.ended, ...(options.signal ? [options.signal] : [])];
    const queue = new AsyncQueue<WatchBatch<T>>(maxUnread);
    const lose = () => queue.fail(away(`watch ${prefix}`));
    serving.life.ended.addEventListener('abort', lose, { once: true });
    this.#streams.add(lose);
    const batches = serving.store.watch<T>(prefix, {
      ...options,
      signal: AbortSignal.any(signals),
    });
    void this.#pump(batches, queue);
    const deafen = this.#noticeSilence(serving, () => queue.fail(silent(`watch ${prefix}`)));
    try {
      for await (const batch of queue) {
        if (this.#faults.stalls()) await this.#life.clock.sleep(this.#faults.delayMs());
        if (!(await this.#isHeard(serving, silenceMs))) throw silent(`watch ${prefix}`);
        await this.#life.awake();
        const isLost = this.#faults.drops();
        if (isLost && this.#house.losesNews) continue;
        yield batch;
        if (isLost) throw away(`watch ${prefix}`);
      }
    } finally {
      deafen();
      serving.life.ended.removeEventListener('abort', lose);
      this.#streams.delete(lose);
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

  /** News comes while the way here is open, or opens soon enough. */
  async #isHeard({ at }: Serving, withinMs: number): Promise<boolean> {
    if (!this.#place || at === undefined) return true;
    const { id, links } = this.#place;
    return await links.opens(at, id, { clock: this.#life.clock, withinMs });
  }

  /** A stream that has no news either has a heartbeat. Returns what ends the attention. */
  #noticeSilence({ at }: Serving, lose: () => void): () => void {
    if (!this.#place || at === undefined) return () => {};
    const { id, links } = this.#place;
    let isWaiting = false;
    const attend = async () => {
      isWaiting = true;
      const isBack = await links.opens(at, id, { clock: this.#life.clock, withinMs: silenceMs });
      isWaiting = false;
      if (!isBack) lose();
    };
    return links.onChange(() => {
      if (!isWaiting && !links.isOpen(at, id)) void attend();
    });
  }

  #isRefused(): boolean {
    return this.#place !== undefined && this.#house.refuses?.(this.#place.id) === true;
  }

  #call<T>(work: (store: Store) => Promise<T>): Promise<T> {
    return this.#life.outside(async () => {
      const fault = this.#faults.draw();
      if (fault === 'slow') await this.#life.clock.sleep(this.#faults.delayMs());
      const { serving } = this.#house;
      if (!serving?.life.isAlive || fault === 'refuse' || this.#isRefused())
        throw away('call the store');
      if (fault === 'late') this.#doLate(serving, work);
      else if (fault === 'repeat') await this.#ask(serving, work).catch(() => undefined);
      const answer = fault === 'late' ? undefined : await this.#ask(serving, work);
      if (answer === undefined || fault === 'lose') throw noAnswer();
      return answer.value;
    });
  }

  /** There and back, while both live and as long as the caller waits. */
  async #ask<T>(
    serving: Serving,
    work: (store: Store) => Promise<T>,
  ): Promise<{ value: T } | undefined> {
    const { ended } = serving.life;
    return await new Promise((resolve, reject) => {
      const lose = () => reject(coreErrors.unreachable('the store closed the connection'));
      // What is sent a second time may find that the store has ended meanwhile.
      if (ended.aborted) return lose();
      ended.addEventListener('abort', lose, { once: true });
      this.#travel(serving, work)
        .then(resolve, reject)
        .finally(() => ended.removeEventListener('abort', lose));
    });
  }

  async #travel<T>({ store, at }: Serving, work: (store: Store) => Promise<T>) {
    if (!this.#place || at === undefined) return { value: await work(store) };
    const { id, links } = this.#place;
    const { clock } = this.#life;
    const endMs = clock.monotonicMs() + answerTimeoutMs;
    if (!(await links.opens(id, at, { clock, withinMs: answerTimeoutMs }))) return undefined;
    const value = await work(store);
    const withinMs = Math.max(0, endMs - clock.monotonicMs());
    return (await links.opens(at, id, { clock, withinMs })) ? { value } : undefined;
  }

  /** It was on its way when the caller gave up. */
  #doLate<T>({ store, life }: Serving, work: (store: Store) => Promise<T>): void {
    this.#life.clock.timer(this.#faults.delayMs(), () => {
      if (life.isAlive) work(store).catch(() => undefined);
    });
  }
}

function away(attempted: string) {
  return storeErrors.unavailable(`${attempted}: the store does not answer`);
}

function silent(attempted: string) {
  return coreErrors.timeout(`${attempted}: silent for too long`);
}

function noAnswer() {
  return coreErrors.timeout('the answer of the store was lost');
}
