// The history of what happened: written in batches by one recorder a process, capped, read page by page or as it grows.
// An event is written after what it tells of; a controller that dies in between loses the event, not the change.

import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';
import type { Log } from '#core/log';
import type { Operation, Store } from '#layer0/store/client';
import { type Event, eventKey, eventPrefix, maxEvents } from './wire.ts';

/** Events of one transaction: each is a put, and one delete of the oldest. */
const batchSize = 40;
/** Events that wait for the store; newer ones are dropped, and the log says so. */
const maxWaiting = 1_000;
/** How long a failed batch waits. */
const retryMs = 1_000;

export type NewEvent = Omit<Event, 'id' | 'time'>;

export interface EventRecorder {
  record(event: NewEvent): void;
  /** Resolves when everything recorded so far is written or given up. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

export interface EventDeps {
  store: Store;
  clock: Clock;
  log: Log;
  /** Most events kept. */
  cap?: number;
}

export function createEventRecorder(deps: EventDeps): EventRecorder {
  return new BatchingRecorder(deps);
}

class BatchingRecorder implements EventRecorder {
  readonly #deps: EventDeps;
  readonly #abort = new AbortController();
  #waiting: Omit<Event, 'id'>[] = [];
  #nextId: number | undefined;
  #writing: Promise<void> | undefined;

  constructor(deps: EventDeps) {
    this.#deps = deps;
  }

  record(event: NewEvent): void {
    if (this.#waiting.length >= maxWaiting) {
      this.#deps.log.warn({ type: event.type, object: event.object }, 'event dropped: too many');
      return;
    }
    this.#waiting.push({ ...event, time: this.#deps.clock.now() });
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  async flush(): Promise<void> {
    await this.#writing;
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      try {
        await this.#writeBatch();
      } catch (error) {
        this.#nextId = undefined;
        if (this.#abort.signal.aborted || !toAppError(error).retry) {
          this.#deps.log.warn({ err: error, lost: this.#waiting.length }, 'events were lost');
          this.#waiting = [];
          return;
        }
        await this.#deps.clock.sleep(retryMs, this.#abort.signal).catch(() => undefined);
      }
    }
  }

  async #writeBatch(): Promise<void> {
    const { store, cap = maxEvents } = this.#deps;
    const first = this.#nextId ?? (await readLastEventId(store)) + 1;
    const batch = this.#waiting.slice(0, batchSize);
    const operations = batch.flatMap((event, offset): Operation[] => {
      const id = first + offset;
      const put = { put: eventKey(id), value: { ...event, id } };
      return id > cap ? [put, { delete: eventKey(id - cap) }] : [put];
    });
    const { ok } = await store.txn({
      compare: [{ key: eventKey(first), is: 'absent' }],
      operations,
    });
    // Another controller wrote meanwhile: read where it got to, and try again.
    this.#nextId = ok ? first + batch.length : undefined;
    if (ok) this.#waiting.splice(0, batch.length);
  }
}

/** Pages of a list that is only read to find its end. */
const endPageSize = 1_000;

export async function readLastEventId(store: Store): Promise<number> {
  let last = 0;
  let after: string | undefined;
  for (;;) {
    const page = await store.list<Event>(eventPrefix, {
      limit: endPageSize,
      ...(after === undefined ? {} : { after }),
    });
    last = page.entries.at(-1)?.value.id ?? last;
    if (page.next === undefined) return last;
    after = page.next;
  }
}

export interface EventQuery {
  app?: string | undefined;
  /** Only events after this one. */
  after?: number | undefined;
  limit: number;
}

/** The newest `limit` events, or the first `limit` after one; oldest first. */
export async function readEvents(store: Store, query: EventQuery): Promise<Event[]> {
  const isForward = query.after !== undefined;
  let kept: Event[] = [];
  let after = query.after === undefined ? undefined : eventKey(query.after);
  for (;;) {
    const page = await store.list<Event>(eventPrefix, {
      limit: endPageSize,
      ...(after === undefined ? {} : { after }),
    });
    const found = page.entries.map(({ value }) => value);
    kept = kept.concat(found.filter(({ app }) => query.app === undefined || app === query.app));
    if (isForward && kept.length >= query.limit) return kept.slice(0, query.limit);
    if (!isForward) kept = kept.slice(-query.limit);
    if (page.next === undefined) return kept;
    after = page.next;
  }
}

/** Everything after an event, then what happens from now on. */
export async function* followEvents(
  store: Store,
  query: { app?: string | undefined; after?: number | undefined },
  signal: AbortSignal,
): AsyncGenerator<Event> {
  let last = query.after ?? (await readLastEventId(store));
  for (;;) {
    const { entries, revision } = await store.list<Event>(eventPrefix, { after: eventKey(last) });
    for (const { value } of entries) {
      last = value.id;
      if (query.app === undefined || value.app === query.app) yield value;
    }
    for await (const { events } of store.watch<Event>(eventPrefix, { from: revision, signal })) {
      for (const { type, entry } of events) {
        if (type === 'delete' || entry.value.id <= last) continue;
        last = entry.value.id;
        if (query.app === undefined || entry.value.app === query.app) yield entry.value;
      }
    }
    if (signal.aborted) return;
  }
}
