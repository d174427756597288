// The door of the store for other components: one interface, whichever engine and whichever process is behind it.

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

export { listAll, listPages } from './list-all.ts';
export { createMirror, type Mirror, type MirrorOptions } from './mirror.ts';
export { createRemoteStore, createStoreOver, type RemoteStoreOptions } from './remote.ts';
export type {
  Compare,
  Entry,
  Lease,
  Operation,
  Replacement,
  Revision,
  Snapshot,
  Txn,
  TxnResult,
  WatchBatch,
  WatchEvent,
} from './wire.ts';

export interface ListOptions {
  /** Read the state of this revision; store.compacted when it is gone, store.conflict when of another incarnation. */
  at?: Revision;
  limit?: number;
  /** Only keys that sort after this one. */
  after?: string;
}

export interface WatchOptions {
  /** Events after this revision. store.compacted: list again and watch from there. */
  from: Revision;
  signal?: AbortSignal;
}

export interface ElectOptions {
  /** Who campaigns: shown to people. */
  identity: string;
  /** The lease that a dead leader's claim lasts, milliseconds. */
  ttlMs: number;
  signal: AbortSignal;
  /**
   * Takes over a claim of the same identity at once instead of waiting for its lease: the last life of this process left
   * it. Only where two of one identity cannot live at the same time.
   */
  reclaims?: true;
}

export interface Leadership {
  /** Put this among the compares of every write made as the leader: a deposed leader's commit then fails. */
  fence: Compare;
  /** Of the store, when this was won: what was read of another one is no ground for a leader's write. */
  incarnation: string;
  /** Fires when leadership is lost or given up. */
  lost: AbortSignal;
  resign(): Promise<void>;
}

export interface Store {
  get<T = unknown>(key: string): Promise<Entry<T> | undefined>;
  /** Every key that starts with the prefix, sorted by key, as of one revision. */
  list<T = unknown>(prefix: string, options?: ListOptions): Promise<Snapshot<T>>;
  /** Atomic: all of `operations`, durable when it returns, or nothing. */
  txn(txn: Txn): Promise<TxnResult>;
  /** Commits in order, none left out, until the signal fires. Ends with an error when the connection breaks: watch again from the last revision. */
  watch<T = unknown>(prefix: string, options: WatchOptions): AsyncIterable<WatchBatch<T>>;
  /** A lease that the store ends `ttlMs` after the last keep-alive; its keys go with it. */
  grantLease(ttlMs: number): Promise<Lease>;
  /** store.leaseNotFound when it has ended. */
  keepAlive(id: string): Promise<void>;
  revokeLease(id: string): Promise<void>;
  /** Campaigns until elected or aborted. The claim is the key `elections/<name>`. */
  elect(name: string, options: ElectOptions): Promise<Leadership>;
  /**
   * Puts these entries in the place of all that is there, in one step, under a new incarnation. Leases that they name go on,
   * of others no key is left; watches end with store.compacted. store.conflict when a compare does not hold,
   * store.leaseNotFound when a lease has ended; killed in the middle, all is as it was.
   */
  replaceAll(entries: readonly Replacement[], compare: readonly Compare[]): Promise<Revision>;
  close(): Promise<void>;
}
