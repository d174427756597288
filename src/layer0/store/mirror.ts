// A local copy of everything under a prefix that follows the store: list, watch, list again when history is gone.
// Keeps its last state while the store is away. One writer: the follow loop below.

import type { Clock } from '#core/clock';
import { coreErrors, hasCode } from '#core/errors';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { type Backoff, backoffMs, isWorthTelling } from '#core/retry';
import type { Store } from './client.ts';
import type { Entry, Revision, WatchEvent } from './wire.ts';

/** Waits between attempts while the store is away. */
const reconnect: Backoff = { minMs: 50, maxMs: 5_000 };
/** Entries read per request of a full list. */
const pageSize = 500;

export interface MirrorOptions<T> {
  clock: Clock;
  random: Random;
  log: Log;
  /** Ends the mirror; its last state stays readable. */
  signal: AbortSignal;
  /** After `entries()` has changed: by these events, or ('resync') possibly everywhere. Must not throw. */
  onChange?(change: WatchEvent<T>[] | 'resync'): void;
}

export interface Mirror<T> {
  /** Resolves after the first full list; rejects with core.aborted when the signal fires before. */
  readonly synced: Promise<void>;
  /** Of the state in `entries()`; undefined before the first list. */
  readonly revision: Revision | undefined;
  /** False while the store is away and the state may be old. */
  readonly isConnected: boolean;
  /** The live map, sorted by nothing: do not keep it across an await when a stable view matters. */
  entries(): ReadonlyMap<string, Entry<T>>;
  get(key: string): Entry<T> | undefined;
  /** Resolves when the state includes this revision, or is of a later incarnation: read your own write. */
  caughtUp(revision: Revision): Promise<void>;
  /** Lists again: news comes only of changes under the prefix, so that a quiet one may stay at an old revision. */
  relist(): void;
}

export function createMirror<T>(
  store: Store,
  prefix: string,
  options: MirrorOptions<T>,
): Mirror<T> {
  return new FollowingMirror<T>(store, prefix, options);
}

interface Waiter {
  revision: Revision;
  resolve(): void;
  reject(error: Error): void;
}

class FollowingMirror<T> implements Mirror<T> {
  readonly synced: Promise<void>;
  revision: Revision | undefined;
  isConnected = false;
  readonly #store: Store;
  readonly #prefix: string;
  readonly #options: MirrorOptions<T>;
  readonly #firstSync = Promise.withResolvers<void>();
  #entries = new Map<string, Entry<T>>();
  #waiters: Waiter[] = [];
  /** Incarnations that this mirror has left behind. */
  readonly #past = new Set<string>();
  #lastIncarnation: string | undefined;
  /** Fires when what it has is not enough, however long it waits for news. */
  #isQuiet = new AbortController();

  constructor(store: Store, prefix: string, options: MirrorOptions<T>) {
    this.#store = store;
    this.#prefix = prefix;
    this.#options = options;
    this.synced = this.#firstSync.promise;
    // A mirror that nobody waits for must not bring the process down when it is ended early.
    this.synced.catch(() => undefined);
    void this.#follow();
  }

  entries(): ReadonlyMap<string, Entry<T>> {
    return this.#entries;
  }

  get(key: string): Entry<T> | undefined {
    return this.#entries.get(key);
  }

  caughtUp(revision: Revision): Promise<void> {
    if (this.#hasReached(revision)) return Promise.resolve();
    if (this.#options.signal.aborted) return Promise.reject(ended(this.#prefix));
    return new Promise((resolve, reject) => this.#waiters.push({ revision, resolve, reject }));
  }

  relist(): void {
    this.#isQuiet.abort();
  }

  async #follow(): Promise<void> {
    const { clock, random, log, signal } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      try {
        if (!this.revision || this.#isQuiet.signal.aborted) await this.#list();
        await this.#watch(() => {
          failures = 0;
        });
        failures++;
      } catch (error) {
        const isForgotten = hasCode(error, 'store.compacted') || hasCode(error, 'store.conflict');
        if (isForgotten) this.revision = undefined;
        // A store that says so is there: list again at once.
        failures = isForgotten ? 1 : failures + 1;
        if (!isForgotten && !signal.aborted && isWorthTelling(failures))
          log.warn({ err: error, prefix: this.#prefix, failures }, 'mirror lost the store');
      }
      this.isConnected = false;
      await clock.sleep(backoffMs(failures, reconnect, random), signal).catch(aborted);
    }
    this.#end();
  }

  async #list(): Promise<void> {
    const next = new Map<string, Entry<T>>();
    let page = await this.#store.list<T>(this.#prefix, { limit: pageSize });
    const { revision } = page;
    for (;;) {
      for (const entry of page.entries) next.set(entry.key, entry);
      if (page.next === undefined) break;
      const after = page.next;
      page = await this.#store.list<T>(this.#prefix, { at: revision, after, limit: pageSize });
    }
    if (this.#options.signal.aborted) return;
    this.#isQuiet = new AbortController();
    this.#entries = next;
    this.#moveTo(revision);
    this.#firstSync.resolve();
    this.#options.onChange?.('resync');
  }

  async #watch(onAlive: () => void): Promise<void> {
    const signal = AbortSignal.any([this.#options.signal, this.#isQuiet.signal]);
    if (!this.revision || signal.aborted) return;
    this.isConnected = true;
    const batches = this.#store.watch<T>(this.#prefix, { from: this.revision, signal });
    for await (const batch of batches) {
      if (signal.aborted) return;
      onAlive();
      for (const event of batch.events) {
        if (event.type === 'put') this.#entries.set(event.key, event.entry);
        else this.#entries.delete(event.key);
      }
      this.#moveTo(batch.revision);
      if (batch.events.length > 0) this.#options.onChange?.(batch.events);
    }
  }

  #moveTo(revision: Revision): void {
    const before = this.#lastIncarnation;
    if (before !== undefined && before !== revision.incarnation) this.#past.add(before);
    this.#lastIncarnation = revision.incarnation;
    this.revision = revision;
    if (this.#waiters.length === 0) return;
    const waiting = this.#waiters;
    this.#waiters = waiting.filter((waiter) => !this.#hasReached(waiter.revision));
    for (const waiter of waiting) if (this.#hasReached(waiter.revision)) waiter.resolve();
  }

  #hasReached(wanted: Revision): boolean {
    if (this.#past.has(wanted.incarnation)) return true;
    const current = this.revision;
    return current?.incarnation === wanted.incarnation && current.revision >= wanted.revision;
  }

  #end(): void {
    this.#firstSync.reject(ended(this.#prefix));
    for (const waiter of this.#waiters) waiter.reject(ended(this.#prefix));
    this.#waiters = [];
  }
}

function ended(prefix: string): Error {
  return coreErrors.aborted(`the mirror of ${prefix} has ended`);
}

/** The loop's own condition sees the signal; the rejected wait says nothing more. */
function aborted(): void {}
