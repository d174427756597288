// Brings statuses to the store, many in one transaction. The last one of a job wins, but a failure is shown before what
// follows it; none is lost while the store is away, and none is written of a job that has moved to another host.

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
    const { ok, failed } = await this.#store.txn({
      ...(records.revision ? { incarnation: records.revision.incarnation } : {}),
      compare: batch.map(({ status, modRevision }) => ({ key: jobKey(status.jobId), modRevision })),
      operations: batch.map(({ status }) => ({ put: statusKey(status.jobId), value: status })),
    });
    // A record has changed: what it says now decides whether its job is still ours.
    if (!ok) {
      for (const at of failed) await this.#read(batch[at]?.status.jobId);
      return;
    }
    for (const { status } of batch)
      if (this.#pending.get(status.jobId) === status) this.#advance(status.jobId);
  }

  /** The copy may be behind and stay so: what has changed since under other keys is no news to it. */
  async #read(jobId: string | undefined): Promise<void> {
    if (jobId !== undefined) this.#reread.set(jobId, await this.#store.get<Job>(jobKey(jobId)));
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
