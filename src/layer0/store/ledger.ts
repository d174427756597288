// Where the store keeps entries and their history. Two of them: SQLite and memory. All calls are synchronous;
// what `atomically` did is durable when it returns, or undone when it throws.

import type { AppError } from '#core/errors';
import { storeErrors } from './errors.ts';
import type { Entry } from './wire.ts';

/** What a commit did to one key: `before` absent means created, `after` absent means deleted. */
export interface Change {
  key: string;
  before?: Entry;
  after?: Entry;
}

export interface Commit {
  revision: number;
  changes: Change[];
}

/** An entry to come, its value as JSON. */
export interface CheckedReplacement {
  key: string;
  text: string;
  /** Of those that there are. */
  lease?: string;
}

export interface LeaseRecord {
  id: string;
  ttlMs: number;
}

export interface ReadRange {
  prefix: string;
  /** Only keys that sort after this one. */
  after?: string;
  /** Most entries returned. */
  limit?: number;
}

export interface HistorySize {
  commits: number;
  bytes: number;
}

export interface Ledger {
  readonly incarnation: string;
  /** Number of the last commit. */
  revision(): number;
  /** Commits up to this number are no longer in the history. */
  compactedTo(): number;
  historySize(): HistorySize;
  read(key: string): Entry | undefined;
  /** The current state, sorted by key. */
  readRange(range: ReadRange): Entry[];
  /** Commits after `revision`, oldest first, at most `limit`; each with all of its changes. */
  commitsAfter(revision: number, limit: number): Commit[];
  /** Runs `work` as one durable step. */
  atomically<T>(work: () => T): T;
  /** Inside `atomically`: the next commit. `texts` spares work: the new value of each change as JSON, where it is at hand. */
  append(commit: Commit, texts?: readonly (string | undefined)[]): void;
  leases(): LeaseRecord[];
  /** Inside `atomically`. */
  addLease(lease: LeaseRecord): void;
  /** Inside `atomically`. */
  removeLease(id: string): void;
  hasLease(id: string): boolean;
  keysOfLease(id: string): string[];
  /** Puts these in the place of entries, history, as one durable step; leases that none names end. Each gets a number after the last commit's, in their order. */
  replaceAll(entries: readonly CheckedReplacement[], incarnation: string): void;
  /** Forgets commits up to and including `revision`. */
  compact(revision: number): void;
  /** Called when a write failed for want of room: gives the room kept back for deletes. False when there is none left. */
  releaseReserve(): boolean;
  /** True when writes that grow the store may go on; takes the reserve back where there is room again. */
  hasRoom(): boolean;
  close(): void;
}

/** SQLite's own code for a full disk, and the system's. */
const sqliteFull = 13;

export function isDiskFull(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { errcode, code } = error as { errcode?: number; code?: string };
  return (errcode !== undefined && (errcode & 0xff) === sqliteFull) || code === 'ENOSPC';
}

export function diskError(error: unknown): AppError {
  if (isDiskFull(error))
    return storeErrors.full('write: the disk of the store is full, make room or delete something', {
      cause: error,
    });
  const text = error instanceof Error ? error.message : String(error);
  return storeErrors.unavailable(`write: the disk of the store failed: ${text}`, { cause: error });
}
