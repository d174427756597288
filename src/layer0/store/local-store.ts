// The store inside its own process, over any ledger: one queue of transactions, decided in order, committed in groups
// that share one sync of the disk, and shown to watchers only when durable.

import type { Clock, Timer } from '#core/clock';
import { AppError } from '#core/errors';
import { newId } from '#core/ids';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import type { ElectOptions, Leadership, ListOptions, WatchOptions } from './client.ts';
import {
  type CheckedTxn,
  checkKey,
  checkPrefix,
  checkReplacements,
  checkTtl,
  checkTxn,
} from './decide/check-txn.ts';
import { evaluate, holds } from './decide/evaluate.ts';
import { LeaseTable, leaseTickMs } from './decide/lease-table.ts';
import { compactTo } from './decide/retention.ts';
import { pageOf } from './decide/rewind.ts';
import { campaign } from './election.ts';
import type { EmbeddedStore, Hold, StoreStatus } from './embedded-store.ts';
import { storeErrors } from './errors.ts';
import { diskError, isDiskFull, type Ledger } from './ledger.ts';
import { readPast } from './read-past.ts';
import { type SizedCommit, WatchHub } from './watch-hub.ts';
import type {
  Compare,
  Entry,
  Lease,
  Replacement,
  Revision,
  Snapshot,
  Txn,
  TxnResult,
  WatchBatch,
} from './wire.ts';

/** Most transactions that share a sync. */
const maxGroup = 256;
/** Most bytes of a group. */
const maxGroupBytes = 4 * 1024 * 1024;
/** Most transactions that wait for the disk. */
export const maxQueued = 10_000;
/** Most leases at a time. */
export const maxLeases = 20_000;

export interface LocalStoreOptions {
  ledger: Ledger;
  clock: Clock;
  random: Random;
  log: Log;
  /** Runs the commit of a group soon: what is queued by then shares it. */
  defer(commitGroup: () => void): void;
}

/** One piece of work of the queue. `apply` decides and appends; it throws an AppError before it has written anything. */
interface Work {
  bytes: number;
  /** May be done on a full disk. */
  shrinks: boolean;
  apply(): unknown;
  resolve(result: never): void;
  reject(error: unknown): void;
}

export class LocalStore implements EmbeddedStore {
  readonly #options: LocalStoreOptions;
  readonly #ledger: Ledger;
  readonly #hub: WatchHub;
  readonly #leases: LeaseTable;
  /** Leases that have ended and whose keys are still to be deleted. */
  readonly #ending = new Set<string>();
  #queue: Work[] = [];
  #isDeferred = false;
  #isClosed = false;
  #isHeld = false;
  /** Commits of the group being applied. */
  #fresh: SizedCommit[] = [];
  #look: Timer | undefined;

  constructor(options: LocalStoreOptions) {
    this.#options = options;
    this.#ledger = options.ledger;
    this.#hub = new WatchHub(this.#ledger);
    this.#leases = new LeaseTable(this.#ledger.leases(), options.clock.monotonicMs());
    this.#scheduleLook();
  }

  get incarnation(): string {
    return this.#ledger.incarnation;
  }

  status(): StoreStatus {
    return {
      incarnation: this.incarnation,
      revision: this.#ledger.revision(),
      compactedTo: this.#ledger.compactedTo(),
      historyBytes: this.#ledger.historySize().bytes,
      watchers: this.#hub.size,
      leases: this.#leases.size,
      queued: this.#queue.length,
      hasRoom: this.#ledger.hasRoom(),
    };
  }

  async compact(): Promise<void> {
    this.#assertOpen('compact');
    this.#ledger.compact(this.#ledger.revision());
    this.#hub.forgetRecent();
  }

  hold(): Hold {
    this.#isHeld = true;
    return {
      leases: this.#ledger.leases(),
      revision: this.#ledger.revision(),
      release: () => {
        this.#isHeld = false;
        this.#commitGroups();
      },
    };
  }

  async get<T>(key: string): Promise<Entry<T> | undefined> {
    checkKey(key);
    this.#assertOpen(`get ${key}`);
    return this.#ledger.read(key) as Entry<T> | undefined;
  }

  async list<T>(prefix: string, options: ListOptions = {}): Promise<Snapshot<T>> {
    checkPrefix(prefix);
    this.#assertOpen(`list ${prefix}`);
    const { at, after, limit } = options;
    if (limit !== undefined && !(Number.isInteger(limit) && limit > 0))
      throw storeErrors.invalid(`list ${prefix}: the limit ${limit} is not a whole number above 0`);
    const now = this.#now();
    const range = { prefix, ...(after === undefined ? {} : { after }) };
    if (at) this.#checkAt(at, prefix);
    if (!at || at.revision === now.revision) {
      const most = limit === undefined ? {} : { limit: limit + 1 };
      return pageOf(this.#ledger.readRange({ ...range, ...most }), now, limit) as Snapshot<T>;
    }
    const entries = readPast(this.#ledger, range, { revision: at.revision, limit });
    return pageOf(entries, at, limit) as Snapshot<T>;
  }

  async txn(txn: Txn): Promise<TxnResult> {
    const checked = checkTxn(txn);
    const shrinks = checked.operations.every(({ text }) => text === undefined);
    return this.#enqueue<TxnResult>({
      bytes: checked.bytes,
      shrinks,
      apply: () => this.#applyTxn(checked),
    });
  }

  watch<T>(prefix: string, options: WatchOptions): AsyncIterable<WatchBatch<T>> {
    checkPrefix(prefix);
    this.#assertOpen(`watch ${prefix}`);
    return this.#hub.watch<T>(prefix, options);
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    checkTtl(ttlMs);
    const lease = { id: this.#newId('lease'), ttlMs };
    if (this.#leases.size >= maxLeases)
      throw storeErrors.overloaded(`grant a lease: ${maxLeases} at a time are the limit`);
    const granted = await this.#enqueue<Lease>({
      bytes: 100,
      shrinks: false,
      apply: () => {
        this.#ledger.addLease(lease);
        return lease;
      },
    });
    this.#leases.observe(this.#options.clock.monotonicMs());
    this.#leases.add(lease);
    this.#scheduleLook();
    return granted;
  }

  async keepAlive(id: string): Promise<void> {
    this.#assertOpen(`keep lease ${id}`);
    this.#leases.observe(this.#options.clock.monotonicMs());
    if (!this.#leases.renew(id))
      throw storeErrors.leaseNotFound(`keep lease ${id}: it has ended, grant a new one`);
  }

  async revokeLease(id: string): Promise<void> {
    if (!this.#leases.has(id))
      throw storeErrors.leaseNotFound(`revoke lease ${id}: it has ended already`);
    await this.#endLease(id);
  }

  elect(name: string, options: ElectOptions): Promise<Leadership> {
    return campaign({ store: this, ...this.#options }, name, options);
  }

  /** All of it in this turn: what waits for the disk is committed before, and nothing comes between. */
  async replaceAll(
    entries: readonly Replacement[],
    compare: readonly Compare[],
  ): Promise<Revision> {
    const checked = checkReplacements(entries);
    this.#assertOpen('replace all');
    if (this.#isHeld) throw storeErrors.unavailable('replace all: the store is being moved');
    this.#commitGroups();
    const changed = compare.find((one) => !holds(one, this.#ledger.read(one.key)));
    if (changed)
      throw storeErrors.conflict(`replace all: ${changed.key} has changed meanwhile`, {
        detail: this.#now(),
      });
    const ended = checked.find(({ lease }) => lease !== undefined && !this.#leases.has(lease));
    if (ended) throw storeErrors.leaseNotFound(`replace all: ${ended.key} has lost its lease`);
    try {
      this.#ledger.replaceAll(checked, this.#newId('inc'));
    } catch (error) {
      throw diskError(error);
    }
    this.#leases.keepOnly(new Set(checked.map(({ lease }) => lease)));
    this.#ending.clear();
    this.#hub.endAll();
    return this.#now();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#commitGroups();
    this.#isClosed = true;
    for (const { reject } of this.#queue.splice(0))
      reject(storeErrors.unavailable('commit: the store was closed while writes were held'));
    this.#look?.cancel();
    this.#hub.close(storeErrors.unavailable('the store is stopping'));
    this.#ledger.close();
  }

  #assertOpen(attempted: string): void {
    if (this.#isClosed) throw storeErrors.unavailable(`${attempted}: the store has been closed`);
  }

  #now(): Revision {
    return { incarnation: this.incarnation, revision: this.#ledger.revision() };
  }

  #checkAt(at: Revision, prefix: string): void {
    const detail = this.#now();
    if (at.incarnation !== this.incarnation || at.revision > detail.revision)
      throw storeErrors.conflict(`list ${prefix}: the revision is of another incarnation`, {
        detail,
      });
    if (at.revision < this.#ledger.compactedTo())
      throw storeErrors.compacted(`list ${prefix}: revision ${at.revision} is compacted`, {
        detail,
      });
  }

  #applyTxn(txn: CheckedTxn): TxnResult {
    if (txn.incarnation !== undefined && txn.incarnation !== this.incarnation)
      throw storeErrors.conflict(
        'the transaction compares revisions of another incarnation of the store: read again',
        { detail: this.#now() },
      );
    const next = this.#ledger.revision() + 1;
    const { failed, changes, texts } = evaluate(txn, this.#ledger, next);
    if (changes.length > 0) this.#append({ revision: next, changes, bytes: 2 * txn.bytes }, texts);
    return { ok: failed.length === 0, revision: this.#now(), failed };
  }

  #append(commit: SizedCommit, texts?: readonly (string | undefined)[]): void {
    this.#ledger.append(commit, texts);
    this.#fresh.push(commit);
  }

  #enqueue<T>(work: Omit<Work, 'resolve' | 'reject'>): Promise<T> {
    this.#assertOpen('commit');
    if (this.#queue.length >= maxQueued)
      throw storeErrors.overloaded(`${maxQueued} transactions wait for the disk already`);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#queue.push({ ...work, resolve, reject });
    if (!this.#isDeferred) {
      this.#isDeferred = true;
      this.#options.defer(() => this.#commitGroups());
    }
    return promise;
  }

  #commitGroups(): void {
    this.#isDeferred = false;
    if (this.#isHeld) return;
    while (this.#queue.length > 0 && !this.#isClosed) {
      let bytes = 0;
      let count = 0;
      for (const work of this.#queue.slice(0, maxGroup)) {
        bytes += work.bytes;
        if (count > 0 && bytes > maxGroupBytes) break;
        count++;
      }
      this.#commitGroup(this.#queue.splice(0, count));
    }
  }

  /** A group that fails as a whole is done again one by one, so that one bad write does not fail its neighbours. */
  #commitGroup(group: Work[]): void {
    try {
      this.#commit(group);
    } catch (error) {
      const [only, ...others] = group;
      if (!only) throw error;
      if (others.length > 0) for (const work of group) this.#commitGroup([work]);
      else if (isDiskFull(error) && only.shrinks && this.#ledger.releaseReserve())
        this.#commitGroup(group);
      else only.reject(diskError(error));
    }
  }

  #commit(group: Work[]): void {
    this.#fresh = [];
    const settle = this.#ledger.atomically(() => group.map((work) => this.#attempt(work)));
    for (const done of settle) done();
    this.#hub.publish(this.#fresh);
    this.#fresh = [];
    const target = compactTo(this.#ledger);
    if (target !== undefined) this.#compact(target);
  }

  #attempt(work: Work): () => void {
    try {
      if (!work.shrinks && !this.#ledger.hasRoom())
        throw storeErrors.full(
          'write: the disk of the store is full, make room or delete something',
        );
      const result = work.apply() as never;
      return () => work.resolve(result);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return () => work.reject(error);
    }
  }

  #compact(revision: number): void {
    try {
      this.#ledger.compact(revision);
    } catch (error) {
      this.#options.log.warn(
        { err: error, revision },
        'compaction failed; the next commit tries again',
      );
    }
  }

  #newId(kind: 'lease' | 'inc'): string {
    return newId(
      kind,
      Uint8Array.from({ length: 16 }, () => this.#options.random() * 256),
    );
  }

  async #endLease(id: string): Promise<void> {
    this.#leases.remove(id);
    this.#ending.add(id);
    try {
      await this.#enqueue<void>({ bytes: 0, shrinks: true, apply: () => this.#applyEnd(id) });
      this.#ending.delete(id);
    } finally {
      this.#scheduleLook();
    }
  }

  #applyEnd(id: string): void {
    const revision = this.#ledger.revision() + 1;
    const changes = this.#ledger.keysOfLease(id).flatMap((key) => {
      const before = this.#ledger.read(key);
      return before ? [{ key, before }] : [];
    });
    this.#ledger.removeLease(id);
    if (changes.length > 0) this.#append({ revision, changes, bytes: 512 * changes.length });
  }

  #scheduleLook(): void {
    if (this.#isClosed) return;
    const waitMs = this.#ending.size > 0 ? leaseTickMs : this.#leases.nextLookMs();
    this.#look?.cancel();
    this.#look =
      waitMs === undefined
        ? undefined
        : this.#options.clock.timer(waitMs, () => this.#lookAtLeases());
  }

  #lookAtLeases(): void {
    const again = [...this.#ending];
    this.#leases.observe(this.#options.clock.monotonicMs());
    for (const id of [...again, ...this.#leases.ended()])
      this.#endLease(id).catch((error: unknown) =>
        this.#options.log.warn({ err: error, lease: id }, 'the end of a lease is tried again'),
      );
    this.#scheduleLook();
  }
}
