// Brings statuses to the store, many in one transaction. The last one of a job wins, but a failure is shown before what
// follows it; none is lost while the store is away, none is written of a job that has moved to another host, and none that
// was long on its way lands on a later one.

import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop } from '#core/reconcile';
import { type Job, jobKey } from '#layer0/scheduler/wire';
import type { Entry, Mirror, Store } from '#layer0/store/client';
import { maxStatusesPerTxn, resyncMs, statusBatchMs } from './config.ts';
import { type JobStatus, statusKey } from './wire.ts';

export interface StatusWriterDeps {
  store: Store;
  clock: Clock;
  random: Random;
  log: Log;
  /** The records as this process last saw them; undefined before the first look. */
  records(): Records | undefined;
}

type Records = Pick<Mirror<Job>, 'revision' | 'get'>;

/** A status, and the record that it was decided on. */
interface Due {
  status: JobStatus;
  modRevision: number;
}

/** The revision of a key that is not there. */
const absent = 0;
/** What each status of a batch compares: the job's record, and the status that it follows. */
const comparesEach = 2;

export class StatusWriter {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #records: StatusWriterDeps['records'];
  readonly #loop: Loop;
  readonly #pending = new Map<string, JobStatus>();
  /** What follows a failure that is still pending. */
  readonly #next = new Map<string, JobStatus>();
  /** Records read from the store because the copy was behind; undefined: gone. */
  readonly #reread = new Map<string, Entry<Job> | undefined>();
  /** Revisions of the statuses that the store has, where this process knows them. */
  readonly #stored = new Map<string, number>();
  #incarnation: string | undefined;
  #isSoon = false;

  constructor({ store, clock, random, log, records }: StatusWriterDeps) {
    this.#store = store;
    this.#records = records;
    this.#clock = clock;
    this.#loop = createLoop({
      name: 'host-status',
      run: (signal) => this.#flush(signal),
      resyncMs,
      backoff: { minMs: 50, maxMs: 2_000 },
      clock,
      random,
      log,
    });
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  put(status: JobStatus): void {
    const before = this.#pending.get(status.jobId);
    const isFollowing = before?.state === 'failed' && status.attempt > before.attempt;
    (isFollowing ? this.#next : this.#pending).set(status.jobId, status);
    if (this.#isSoon) return;
    this.#isSoon = true;
    this.#clock.timer(statusBatchMs, () => {
      this.#isSoon = false;
      this.#loop.trigger();
    });
  }

  /** False while the job's last status is only in memory. */
  isWritten(jobId: string): boolean {
    return !this.#pending.has(jobId);
  }

  /** The record is gone or names another host: its status has no place any more. */
  drop(jobId: string): void {
    this.#pending.delete(jobId);
    this.#next.delete(jobId);
    this.#reread.delete(jobId);
    this.#stored.delete(jobId);
  }

  get waiting(): number {
    return this.#pending.size;
  }

  async #flush(signal: AbortSignal): Promise<void> {
    while (this.#pending.size > 0 && !signal.aborted) {
      const records = this.#records();
      if (records?.revision === undefined) return;
      const batch = this.#takeDue(records);
      if (batch.length > 0) await this.#write(batch, records);
    }
  }

  #takeDue(records: Records): Due[] {
    const batch: Due[] = [];
    for (const status of [...this.#pending.values()]) {
      if (batch.length === maxStatusesPerTxn) break;
      const record = this.#newest(status.jobId, records);
      if (record?.value.host !== status.host) this.drop(status.jobId);
      else batch.push({ status, modRevision: record.modRevision });
    }
    return batch;
  }

  async #write(batch: Due[], records: Records): Promise<void> {
    const incarnation = records.revision?.incarnation;
    if (incarnation !== this.#incarnation) this.#stored.clear();
    this.#incarnation = incarnation;
    const { ok, failed, revision } = await this.#store.txn({
      ...(incarnation === undefined ? {} : { incarnation }),
      compare: batch.flatMap(({ status: { jobId }, modRevision }) => [
        { key: jobKey(jobId), modRevision },
        { key: statusKey(jobId), modRevision: this.#stored.get(jobId) ?? absent },
      ]),
      operations: batch.map(({ status }) => ({ put: statusKey(status.jobId), value: status })),
    });
    if (!ok) {
      const stale = new Set(failed.map((at) => batch[Math.floor(at / comparesEach)]?.status.jobId));
      for (const jobId of stale) await this.#read(jobId);
      return;
    }
    for (const { status } of batch) {
      this.#stored.set(status.jobId, revision.revision);
      if (this.#pending.get(status.jobId) === status) this.#advance(status.jobId);
    }
  }

  /**
   * A record has changed: what it says now decides whether its job is still ours; the copy may be behind and stay so, for
   * what has changed since under other keys is no news to it. Or a status is there that this process did not know of: one
   * of its last life, or one whose answer was lost.
   */
  async #read(jobId: string | undefined): Promise<void> {
    if (jobId === undefined) return;
    this.#reread.set(jobId, await this.#store.get<Job>(jobKey(jobId)));
    const stored = await this.#store.get<JobStatus>(statusKey(jobId));
    this.#stored.set(jobId, stored?.modRevision ?? absent);
  }

  #newest(jobId: string, records: Records): Entry<Job> | undefined {
    const known = records.get(jobKey(jobId));
    if (!this.#reread.has(jobId)) return known;
    const read = this.#reread.get(jobId);
    if (read === undefined || !known || known.modRevision < read.modRevision) return read;
    this.#reread.delete(jobId);
    return known;
  }

  #advance(jobId: string): void {
    const next = this.#next.get(jobId);
    this.#next.delete(jobId);
    this.#reread.delete(jobId);
    if (next) this.#pending.set(jobId, next);
    else this.#pending.delete(jobId);
  }
}
