// The lines of etcd's watch as our batches: all events of one commit together, whichever lines they came in.

import { frozen } from '../../decide/evaluate.ts';
import type { Entry, WatchEvent } from '../../wire.ts';
import type { EtcdEvent, WatchAnswer } from '../messages.ts';
import { entryOf, type KeySpace, revisionOf } from './keys.ts';

export interface CommitEvents<T> {
  revision: number;
  events: WatchEvent<T>[];
  /** Of the values. */
  bytes: number;
}

export class WatchBatches<T> {
  readonly #space: KeySpace;
  /** The last commit whose events are all told. */
  #told: number;
  #open: CommitEvents<T> | undefined;

  /** The watch shows commits after `from`. */
  constructor(space: KeySpace, from: number) {
    this.#space = space;
    this.#told = from;
  }

  /** What is complete with this line; 'incomplete' when a deletion came without the entry, whose history is gone. */
  take(answer: WatchAnswer): CommitEvents<T>[] | 'incomplete' {
    const complete: CommitEvents<T>[] = [];
    for (const etcdEvent of answer.events ?? []) {
      const revision = revisionOf(this.#space, etcdEvent.kv.mod_revision);
      if (revision <= this.#told) continue;
      const event = eventOf<T>(this.#space, etcdEvent);
      if (!event) return 'incomplete';
      if (this.#open && this.#open.revision !== revision) this.#close(complete);
      this.#open ??= { revision, events: [], bytes: 0 };
      this.#open.bytes += (etcdEvent.kv.value ?? etcdEvent.prev_kv?.value)?.length ?? 0;
      this.#open.events.push(event);
    }
    if (answer.fragment) return complete;
    this.#close(complete);
    const revision = revisionOf(this.#space, answer.header.revision);
    if (isProgress(answer) && revision > this.#told) {
      this.#told = revision;
      complete.push({ revision, events: [], bytes: 0 });
    }
    return complete;
  }

  #close(complete: CommitEvents<T>[]): void {
    if (!this.#open) return;
    complete.push(this.#open);
    this.#told = this.#open.revision;
    this.#open = undefined;
  }
}

/** Everything up to the header's revision has been sent. The answer that creates the watch says nothing of the kind. */
const isProgress = ({ created, canceled, events = [] }: WatchAnswer): boolean =>
  !created && !canceled && events.length === 0;

function eventOf<T>(
  space: KeySpace,
  { type, kv, prev_kv: before }: EtcdEvent,
): WatchEvent<T> | undefined {
  const entry: Entry<T> | undefined =
    type === 'DELETE' ? before && entryOf<T>(space, before) : entryOf<T>(space, kv);
  // Watchers share it.
  if (entry) frozen(entry.value);
  return entry && { type: type === 'DELETE' ? 'delete' : 'put', key: entry.key, entry };
}
