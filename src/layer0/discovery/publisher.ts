// Keeps what this process wants to be known for in the store, under one lease that it keeps alive.
// A lost lease or another incarnation of the store only means writing everything again.

import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#core/clock';
import { type AppError, hasCode, toAppError } from '#core/errors';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop } from '#core/reconcile';
import type { Entry, Operation, Revision, Store } from '#layer0/store/client';
import { maxTxnOperations } from '#layer0/store/wire';
import { decidePublish, type Published } from './decide/publish.ts';
import { discoveryErrors } from './errors.ts';
import { endLease, keepLease } from './lease.ts';

export interface PublisherDeps {
  store: Store;
  clock: Clock;
  random: Random;
  log: Log;
}

interface Waiter {
  resolve(): void;
  reject(error: AppError): void;
}

export class Publisher {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #loop: Loop;
  readonly #wanted = new Map<string, unknown>();
  readonly #published = new Map<string, Published>();
  /** A write of these may still be under way: it is not to be taken back. */
  readonly #left = new Set<string>();
  #lease: { id: string; renewedAt: number } | undefined;
  #incarnation: string | undefined;
  #lastRevision: Revision | undefined;
  #waiters: Waiter[] = [];
  #isClosed = false;

  constructor({ store, clock, random, log }: PublisherDeps, ttlMs: number) {
    this.#store = store;
    this.#clock = clock;
    this.#ttlMs = ttlMs;
    this.#loop = createLoop({
      name: 'discovery-publish',
      run: () => this.#pass(),
      resyncMs: ttlMs / 4,
      backoff: { minMs: 50, maxMs: Math.min(1_000, ttlMs / 8) },
      clock,
      random,
      log,
    });
    this.#loop.start();
  }

  /** Resolves with a revision in which the value is there. Rejects when the store is away; it stays wanted all the same. */
  async put(key: string, value: unknown): Promise<Revision> {
    this.#wanted.set(key, structuredClone(value));
    this.#left.delete(key);
    await this.#settled(key);
    if (!this.#lastRevision) throw discoveryErrors.closed(`${key} was not written`);
    return this.#lastRevision;
  }

  /** Resolves when the key is gone, as far as this process has written it. */
  delete(key: string): Promise<void> {
    this.#wanted.delete(key);
    return this.#settled(key);
  }

  /** Keeps the key no longer, and leaves it as it is: its lease ends it, unless somebody else has taken it over. */
  leave(key: string): void {
    this.#wanted.delete(key);
    this.#published.delete(key);
    this.#left.add(key);
  }

  /** What is wanted under the key, whether or not it is written yet. */
  wanted(key: string): unknown {
    return this.#wanted.get(key);
  }

  /** Called when a key was seen to be gone, or the store came back as another one: writes what is missing. */
  forget(isGone: (key: string) => boolean): void {
    let isAnyGone = false;
    for (const key of [...this.#published.keys()])
      if (isGone(key)) isAnyGone = this.#published.delete(key) || isAnyGone;
    if (isAnyGone) this.#loop.trigger();
  }

  /**
   * Called with what is there under a key. A write that was long on its way, and whose answer was given up, may land on a
   * later one or after its key was taken back: it is put right.
   */
  see(key: string, { value, lease, modRevision }: Entry, incarnation: string): void {
    if (lease === undefined || lease !== this.#lease?.id || this.#left.has(key)) return;
    if (modRevision <= (this.#published.get(key)?.revision ?? 0)) return;
    const wanted = this.#wanted.get(key);
    const isWanted =
      wanted !== undefined && isDeepStrictEqual(value, JSON.parse(JSON.stringify(wanted)));
    this.#published.set(key, { value: isWanted ? wanted : value, lease, revision: modRevision });
    // Of a first write whose answer was lost nothing else is known.
    this.#lastRevision ??= { incarnation, revision: modRevision };
    if (!isWanted) this.#loop.trigger();
  }

  /** Ends the lease, and with it everything that was published. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#loop.stop();
    this.#reject(discoveryErrors.closed('discovery was closed before this was written'));
    if (this.#lease) await endLease(this.#store, this.#lease.id);
    this.#lease = undefined;
  }

  /** Stops writing and lets the lease run out by itself: what a crash does. */
  async abandon(): Promise<void> {
    this.#isClosed = true;
    await this.#loop.stop();
    this.#reject(discoveryErrors.closed('discovery was closed before this was written'));
  }

  status(): Record<string, unknown> {
    return {
      registered: this.#wanted.size,
      published: this.#published.size,
      lease: this.#lease?.id,
      loop: this.#loop.status(),
    };
  }

  #settled(key: string): Promise<void> {
    if (this.#isClosed)
      return Promise.reject(discoveryErrors.closed(`${key} was not written: discovery is closed`));
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#loop.trigger();
    });
  }

  async #pass(): Promise<void | { againMs: number }> {
    const waiters = this.#waiters;
    this.#waiters = [];
    const isAnything = this.#wanted.size > 0 || this.#published.size > 0;
    try {
      if (isAnything) await this.#publish();
      for (const waiter of waiters) waiter.resolve();
    } catch (error) {
      for (const waiter of waiters) waiter.reject(toAppError(error));
      throw error;
    }
    if (!isAnything) return;
    // After the write: a change that is known does not wait for the lease.
    await this.#renew(this.#ttlMs / 5);
    if (!this.#lease) return { againMs: 0 };
  }

  async #publish(): Promise<void> {
    // One that may have ended meanwhile is looked after first.
    await this.#renew(this.#ttlMs / 2);
    const lease = this.#lease?.id ?? (await this.#grant());
    const operations = decidePublish({ wanted: this.#wanted, published: this.#published, lease });
    for (let start = 0; start < operations.length; start += maxTxnOperations)
      await this.#write(operations.slice(start, start + maxTxnOperations), lease);
  }

  /** Keeps a lease of that age alive; afterwards there is none when it had ended. */
  async #renew(ageMs: number): Promise<void> {
    const renewedAt = this.#clock.monotonicMs();
    if (!this.#lease || renewedAt - this.#lease.renewedAt < ageMs) return;
    const { id } = this.#lease;
    this.#lease = (await keepLease(this.#store, id)) ? { id, renewedAt } : undefined;
  }

  async #grant(): Promise<string> {
    const renewedAt = this.#clock.monotonicMs();
    const { id } = await this.#store.grantLease(this.#ttlMs);
    this.#lease = { id, renewedAt };
    return id;
  }

  async #write(operations: Operation[], lease: string): Promise<void> {
    const { revision } = await this.#store.txn({ compare: [], operations }).catch((error) => {
      if (hasCode(error, 'store.leaseNotFound')) this.#lease = undefined;
      throw error;
    });
    if (this.#incarnation !== undefined && this.#incarnation !== revision.incarnation)
      this.#published.clear();
    this.#incarnation = revision.incarnation;
    this.#lastRevision = revision;
    const written = { lease, revision: revision.revision };
    for (const operation of operations) {
      if ('delete' in operation) this.#published.delete(operation.delete);
      else if (!this.#left.has(operation.put))
        this.#published.set(operation.put, { value: operation.value, ...written });
    }
  }

  #reject(error: AppError): void {
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters = [];
  }
}
