// Who watches what, and how far have they read? A watcher is a cursor, not a queue: a slow one costs no memory,
// reads what it missed from the history, and only compaction can end it.

import { storeErrors } from './errors.ts';
import type { Change, Commit, Ledger } from './ledger.ts';
import type { Revision, WatchBatch, WatchEvent } from './wire.ts';

/** Commits kept in memory, so that watchers who keep up never read the disk. */
const recentCommits = 512;
/** Most bytes of values in those commits. */
const recentBytes = 2 * 1024 * 1024;
/** Commits read from the history at a time. */
const pageCommits = 64;
/** A watcher whose prefix is quiet is told the revision after this many commits, well before they are compacted. */
export const progressCommits = 1_000;
/** Most watchers at a time. */
export const maxWatchers = 20_000;

export interface SizedCommit extends Commit {
  bytes: number;
}

export interface WatchFrom {
  from: Revision;
  signal?: AbortSignal;
}

export class WatchHub {
  readonly #ledger: Ledger;
  readonly #cursors = new Set<Cursor<unknown>>();
  #recent: SizedCommit[] = [];
  #recentBytes = 0;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  get size(): number {
    return this.#cursors.size;
  }

  get incarnation(): string {
    return this.#ledger.incarnation;
  }

  watch<T>(prefix: string, { from, signal }: WatchFrom): AsyncIterableIterator<WatchBatch<T>> {
    const cursor = new Cursor<T>(this, { prefix, from });
    if (this.#cursors.size >= maxWatchers) {
      cursor.end(storeErrors.overloaded(`watch ${prefix}: ${maxWatchers} watchers are the limit`));
      return cursor;
    }
    this.#cursors.add(cursor as Cursor<unknown>);
    if (signal?.aborted) cursor.end();
    else if (signal) cursor.endWith(signal);
    return cursor;
  }

  /** Commits that have just become durable, in order. */
  publish(commits: SizedCommit[]): void {
    for (const commit of commits) {
      this.#recent.push(commit);
      this.#recentBytes += commit.bytes;
    }
    while (this.#recent.length > recentCommits || this.#recentBytes > recentBytes)
      this.#recentBytes -= this.#recent.shift()?.bytes ?? 0;
    for (const cursor of this.#cursors) cursor.notice(commits);
  }

  /** Commits after a revision, oldest first, some or all; empty means up to date. */
  commitsAfter(from: Revision, prefix: string): Commit[] {
    const { incarnation } = this.#ledger;
    const current = this.#ledger.revision();
    const { revision } = from;
    if (
      from.incarnation !== incarnation ||
      revision < this.#ledger.compactedTo() ||
      revision > current
    )
      throw storeErrors.compacted(
        `watch ${prefix} from revision ${revision}: the history does not hold it, list again`,
        { detail: { incarnation, revision: current } },
      );
    if (revision === current) return [];
    const first = this.#recent[0]?.revision;
    if (first === undefined || first > revision + 1)
      return this.#ledger.commitsAfter(revision, pageCommits);
    return this.#recent.slice(revision + 1 - first, revision + 1 - first + pageCommits);
  }

  forgetRecent(): void {
    this.#recent = [];
    this.#recentBytes = 0;
  }

  /** The history is gone as a whole: whoever reads it begins anew. */
  endAll(): void {
    this.forgetRecent();
    const detail = { incarnation: this.incarnation, revision: this.#ledger.revision() };
    const error = storeErrors.compacted('watch: the store has begun another life, list again', {
      detail,
    });
    for (const cursor of [...this.#cursors]) cursor.end(error);
  }

  forget(cursor: Cursor<unknown>): void {
    this.#cursors.delete(cursor);
  }

  close(error: Error): void {
    for (const cursor of [...this.#cursors]) cursor.end(error);
    this.forgetRecent();
  }
}

type Step<T> = IteratorResult<WatchBatch<T>, undefined>;

/** An iterator by hand: unlike a generator it can be ended while somebody waits for its next value. */
class Cursor<T> implements AsyncIterableIterator<WatchBatch<T>> {
  readonly #hub: WatchHub;
  readonly #prefix: string;
  #position: Revision;
  /** The last revision the reader was told. */
  #told: number;
  #page: Commit[] = [];
  #waiting: PromiseWithResolvers<Step<T>> | undefined;
  #ended: { error?: Error } | undefined;
  #release: (() => void) | undefined;

  constructor(hub: WatchHub, { prefix, from }: { prefix: string; from: Revision }) {
    this.#hub = hub;
    this.#prefix = prefix;
    this.#position = from;
    this.#told = from.revision;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<Step<T>> {
    const step = this.#step();
    if (step !== undefined) return step;
    this.#waiting ??= Promise.withResolvers<Step<T>>();
    return this.#waiting.promise;
  }

  return(): Promise<Step<T>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  endWith(signal: AbortSignal): void {
    const onAbort = () => this.end();
    signal.addEventListener('abort', onAbort, { once: true });
    this.#release = () => signal.removeEventListener('abort', onAbort);
  }

  end(error?: Error): void {
    if (this.#ended) return;
    this.#finish(error);
    this.#wake();
  }

  #finish(error?: Error): void {
    this.#ended = error ? { error } : {};
    this.#page = [];
    this.#release?.();
    this.#hub.forget(this as Cursor<unknown>);
  }

  notice(commits: Commit[]): void {
    if (!this.#waiting) return;
    const last = commits.at(-1)?.revision ?? 0;
    const isConcerned = commits.some(({ changes }) =>
      changes.some(({ key }) => key.startsWith(this.#prefix)),
    );
    if (isConcerned || last - this.#told >= progressCommits) this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    try {
      const step = this.#step();
      if (step === undefined) return;
      this.#waiting = undefined;
      waiting.resolve(step);
    } catch (error) {
      this.#waiting = undefined;
      waiting.reject(error);
    }
  }

  /** What there is to say now, if anything; throws, once, what ended it. */
  #step(): Step<T> | undefined {
    if (!this.#ended) {
      try {
        const batch = this.#nextBatch();
        return batch && { done: false, value: batch };
      } catch (error) {
        this.#finish();
        throw error;
      }
    }
    const { error } = this.#ended;
    this.#ended = {};
    if (error) throw error;
    return { done: true, value: undefined };
  }

  #nextBatch(): WatchBatch<T> | undefined {
    for (;;) {
      if (this.#page.length === 0)
        this.#page = this.#hub.commitsAfter(this.#position, this.#prefix);
      const commit = this.#page.shift();
      if (!commit) break;
      this.#position = { incarnation: this.#hub.incarnation, revision: commit.revision };
      const events = eventsOf<T>(commit.changes, this.#prefix);
      if (events.length > 0) return this.#tell(events);
    }
    if (this.#position.revision - this.#told >= progressCommits) return this.#tell([]);
    return undefined;
  }

  #tell(events: WatchEvent<T>[]): WatchBatch<T> {
    this.#told = this.#position.revision;
    return { revision: this.#position, events };
  }
}

function eventsOf<T>(changes: Change[], prefix: string): WatchEvent<T>[] {
  const events: WatchEvent[] = [];
  for (const { key, before, after } of changes) {
    if (!key.startsWith(prefix)) continue;
    if (after) events.push({ type: 'put', key, entry: after });
    else if (before) events.push({ type: 'delete', key, entry: before });
  }
  return events as WatchEvent<T>[];
}
