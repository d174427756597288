// Tells of jobs that came up, failed or ended, and of machines that are not heard of any more, or are again. Those are
// changes of hosts, which know nothing of events: the leader tells what it sees, a moment later; what happens while nobody
// leads is not told.

import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import type { Compare, Operation, Store } from '#layer0/store/client';
import { eventOperation, type NewEvent } from './events.ts';
import type { HostChange, JobChange } from './observe.ts';
import { nameOf } from './view.ts';

/** Events that wait for the store; newer ones are dropped, and the log says so. */
const maxWaiting = 1_000;
/** How long an event waits after a write that failed. */
const retryMs = 1_000;
const toldStates = ['up', 'failed', 'down'];

export interface SeenEventDeps {
  store: Store;
  clock: Clock;
  random: Random;
  log: Log;
  /** Of the leader: only one tells. */
  fence: Compare;
}

export class SeenEvents {
  readonly #deps: SeenEventDeps;
  readonly #abort = new AbortController();
  #waiting: Operation[] = [];
  #writing: Promise<void> | undefined;

  constructor(deps: SeenEventDeps) {
    this.#deps = deps;
  }

  tellJob({ job, before, after }: JobChange): void {
    const isNews = before?.state !== after.state || before?.attempt !== after.attempt;
    if (!isNews || !toldStates.includes(after.state)) return;
    const reason = after.reason ? `: ${after.reason}` : '';
    const happened = after.state === 'failed' ? 'failed' : `is ${after.state}`;
    this.#tell({
      app: job.app,
      type: `job.${after.state}`,
      object: job.id,
      message: `${job.appName}: ${nameOf(job)} ${happened}${reason}`,
    });
  }

  tellHost({ id, name, isAlive }: HostChange): void {
    const message = isAlive ? `${name} is heard of` : `${name} is not heard of any more`;
    this.#tell({ type: isAlive ? 'host.up' : 'host.silent', object: id, message });
  }

  #tell(event: NewEvent): void {
    if (this.#waiting.length >= maxWaiting) {
      this.#deps.log.warn({ type: event.type, of: event.object }, 'event dropped: too many');
      return;
    }
    this.#waiting.push(eventOperation(event, this.#deps));
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  /** What waits for a store that does not answer is given up. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    const { store, fence, clock, log } = this.#deps;
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      try {
        // Whoever leads now tells of it if it saw it: here a write that was not made is not tried again.
        await store.txn({ compare: [fence], operations: [next] });
        this.#waiting.shift();
      } catch (error) {
        if (this.#abort.signal.aborted || !toAppError(error).retry) {
          log.warn({ err: error, lost: this.#waiting.length }, 'events were lost');
          this.#waiting = [];
          return;
        }
        await clock.sleep(retryMs, this.#abort.signal).catch(() => undefined);
      }
    }
  }
}
