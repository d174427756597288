// The history of what happened. An event is part of the transaction that makes the change it tells of, so neither is there
// without the other; its id is the revision of that commit: unique and in order, however many controllers write.

import type { Clock } from '#core/clock';
import type { Random } from '#core/random';
import type { Entry, Operation, Revision, Store } from '#layer0/store/client';
import { type Event, eventKey, eventPrefix, type StoredEvent } from './wire.ts';

export type NewEvent = Omit<StoredEvent, 'time'>;

/** At most one in a transaction: two would have the same id. */
export function eventOperation(
  event: NewEvent,
  { clock, random }: { clock: Pick<Clock, 'now'>; random: Random },
): Operation {
  const time = clock.now();
  const suffix = Math.floor(random() * 2 ** 32).toString(16);
  return { put: eventKey(time, suffix), value: { ...event, time } satisfies StoredEvent };
}

export interface EventQuery {
  app?: string | undefined;
  /** Only events after this one; one that the store has not reached yet is of another store, and means from the first. */
  after?: number | undefined;
  limit: number;
}

/** The newest `limit` events, or the first `limit` after one; oldest first. */
export async function readEvents(store: Store, query: EventQuery): Promise<Event[]> {
  const { events, revision } = await listEvents(store);
  const ofApp = events.filter(({ app }) => query.app === undefined || app === query.app);
  const after = knownBy(revision, query.after);
  if (after === undefined) return ofApp.slice(-query.limit);
  return ofApp.filter(({ id }) => id > after).slice(0, query.limit);
}

/** Everything after an event, then what happens from now on. */
export async function* followEvents(
  store: Store,
  query: Omit<EventQuery, 'limit'>,
  signal: AbortSignal,
): AsyncGenerator<Event> {
  let last = query.after;
  for (;;) {
    const { events, revision } = await listEvents(store);
    const after = knownBy(revision, last) ?? revision.revision;
    const isWanted = ({ app }: Event) => query.app === undefined || app === query.app;
    for (const event of events) if (event.id > after && isWanted(event)) yield event;
    last = revision.revision;
    for await (const batch of store.watch<StoredEvent>(eventPrefix, { from: revision, signal })) {
      last = batch.revision.revision;
      for (const { type, entry } of batch.events)
        if (type === 'put' && isWanted(eventOf(entry))) yield eventOf(entry);
    }
    if (signal.aborted) return;
  }
}

/** Entries read at a time. */
const pageSize = 1_000;

/** All of one revision of the store, in the order of their ids: keys go by clocks, which may differ. */
async function listEvents(store: Store): Promise<{ events: Event[]; revision: Revision }> {
  const first = await store.list<StoredEvent>(eventPrefix, { limit: pageSize });
  const { revision } = first;
  const entries = [...first.entries];
  for (let after = first.next; after !== undefined; ) {
    const page = { limit: pageSize, after, at: revision };
    const { entries: more, next } = await store.list<StoredEvent>(eventPrefix, page);
    entries.push(...more);
    after = next;
  }
  return { events: entries.map(eventOf).sort((a, b) => a.id - b.id), revision };
}

function eventOf({ value, createRevision }: Entry<StoredEvent>): Event {
  return { ...value, id: createRevision };
}

function knownBy({ revision }: Revision, id: number | undefined): number | undefined {
  return id !== undefined && id > revision ? 0 : id;
}
