// A ledger that is gone with its process: for unit tests and the simulator. Deterministic, no timers, no disk.

import { frozen } from './decide/evaluate.ts';
import type {
  Change,
  CheckedReplacement,
  Commit,
  HistorySize,
  LeaseRecord,
  Ledger,
  ReadRange,
} from './ledger.ts';
import type { Entry } from './wire.ts';

export class MemoryLedger implements Ledger {
  incarnation: string;
  readonly #entries = new Map<string, Entry>();
  readonly #leases = new Map<string, LeaseRecord>();
  readonly #keysOfLease = new Map<string, Set<string>>();
  /** Keys in order; undefined after a key came or went. */
  #sorted: string[] | undefined;
  #history: Commit[] = [];
  #revision = 0;
  #compactedTo = 0;
  #undo: (() => void)[] = [];

  constructor(incarnation: string) {
    this.incarnation = incarnation;
  }

  revision(): number {
    return this.#revision;
  }

  compactedTo(): number {
    return this.#compactedTo;
  }

  historySize(): HistorySize {
    return { commits: this.#history.length, bytes: 0 };
  }

  read(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  readRange({ prefix, after, limit = Number.POSITIVE_INFINITY }: ReadRange): Entry[] {
    this.#sorted ??= [...this.#entries.keys()].sort();
    const keys = this.#sorted;
    const found: Entry[] = [];
    const start = after !== undefined && after >= prefix ? after : prefix;
    for (let index = firstAtLeast(keys, start); index < keys.length; index++) {
      const key = keys[index] as string;
      if (!key.startsWith(prefix) || found.length >= limit) break;
      if (key !== after) found.push(this.#entries.get(key) as Entry);
    }
    return found;
  }

  commitsAfter(revision: number, limit: number): Commit[] {
    const first = Math.max(0, revision - this.#compactedTo);
    return this.#history.slice(first, first + limit);
  }

  atomically<T>(work: () => T): T {
    this.#undo = [];
    try {
      return work();
    } catch (error) {
      for (const step of this.#undo.reverse()) step();
      throw error;
    } finally {
      this.#undo = [];
    }
  }

  append(commit: Commit): void {
    for (const change of commit.changes) this.#set(change);
    this.#history.push(commit);
    this.#revision = commit.revision;
    this.#undo.push(() => {
      this.#history.pop();
      this.#revision = commit.revision - 1;
      for (const { key, before, after } of commit.changes)
        this.#set({
          key,
          ...(after ? { before: after } : {}),
          ...(before ? { after: before } : {}),
        });
    });
  }

  #set({ key, before, after }: Change): void {
    if (before?.lease !== undefined) this.#keysOfLease.get(before.lease)?.delete(key);
    if (!before || !after) this.#sorted = undefined;
    if (!after) return void this.#entries.delete(key);
    this.#entries.set(key, after);
    if (after.lease !== undefined) this.#keysOfLease.get(after.lease)?.add(key);
  }

  leases(): LeaseRecord[] {
    return [...this.#leases.values()];
  }

  addLease(lease: LeaseRecord): void {
    this.#leases.set(lease.id, lease);
    this.#keysOfLease.set(lease.id, new Set());
    this.#undo.push(() => this.#forgetLease(lease.id));
  }

  removeLease(id: string): void {
    const lease = this.#leases.get(id);
    const keys = this.#keysOfLease.get(id);
    this.#forgetLease(id);
    if (!lease || !keys) return;
    this.#undo.push(() => {
      this.#leases.set(id, lease);
      this.#keysOfLease.set(id, keys);
    });
  }

  #forgetLease(id: string): void {
    this.#leases.delete(id);
    this.#keysOfLease.delete(id);
  }

  hasLease(id: string): boolean {
    return this.#leases.has(id);
  }

  keysOfLease(id: string): string[] {
    return [...(this.#keysOfLease.get(id) ?? [])];
  }

  replaceAll(entries: readonly CheckedReplacement[], incarnation: string): void {
    const named = new Set(entries.map(({ lease }) => lease));
    for (const id of [...this.#leases.keys()]) if (!named.has(id)) this.#forgetLease(id);
    for (const keys of this.#keysOfLease.values()) keys.clear();
    this.#entries.clear();
    this.#sorted = undefined;
    for (const { key, text, lease } of entries) {
      const number = ++this.#revision;
      const value = frozen(JSON.parse(text));
      const entry = { key, value, createRevision: number, modRevision: number };
      this.#set({ key, after: lease === undefined ? entry : { ...entry, lease } });
    }
    this.#revision++;
    this.#history = [];
    this.#compactedTo = this.#revision;
    this.incarnation = incarnation;
  }

  compact(revision: number): void {
    this.#history = this.#history.slice(revision - this.#compactedTo);
    this.#compactedTo = revision;
  }

  releaseReserve(): boolean {
    return false;
  }

  hasRoom(): boolean {
    return true;
  }

  close(): void {
    this.#entries.clear();
    this.#history = [];
    this.#sorted = undefined;
  }
}

function firstAtLeast(keys: string[], wanted: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
