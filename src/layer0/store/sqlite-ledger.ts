// The ledger on disk: SQLite in WAL mode, one sync per group (synchronous=FULL), one process at a time.
// `entries` is the present, `changes` the history; both move in one SQLite transaction.

import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { storeErrors } from './errors.ts';
import type {
  Change,
  CheckedReplacement,
  Commit,
  HistorySize,
  LeaseRecord,
  Ledger,
  ReadRange,
} from './ledger.ts';
import type { Reserve } from './reserve.ts';
import { beginIfRestored } from './restored-file.ts';
import type { Entry } from './wire.ts';

const applicationId = 0x67616e74;
const schemaVersion = 1;
/** Pages kept in memory by SQLite, KiB. */
const cacheKib = 4_096;
/** The log is written back into the file after this many pages of 4 KiB. */
const checkpointPages = 1_000;

const schema = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID, STRICT;
  CREATE TABLE entries (key TEXT PRIMARY KEY, entry TEXT NOT NULL, lease TEXT) WITHOUT ROWID, STRICT;
  CREATE INDEX entries_of_lease ON entries (lease) WHERE lease IS NOT NULL;
  CREATE TABLE changes (
    revision INTEGER NOT NULL, position INTEGER NOT NULL, key TEXT NOT NULL, before TEXT, after TEXT,
    PRIMARY KEY (revision, position)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE leases (id TEXT PRIMARY KEY, ttl_ms INTEGER NOT NULL) WITHOUT ROWID, STRICT;
`;

export interface SqliteLedgerOptions {
  path: string;
  /** Used when the file is created. */
  incarnation: string;
  /** False: commits are not synced. For the proof that the sync matters, and stores that may be lost. */
  isDurable: boolean;
  reserve: Reserve;
}

interface ChangeRow {
  revision: number;
  key: string;
  before: string | null;
  after: string | null;
}

export class SqliteLedger implements Ledger {
  incarnation: string;
  readonly #database: DatabaseSync;
  readonly #reserve: Reserve;
  readonly #statements: Statements;
  /** What an entry was read from, so that the history gets the same text without making it again. */
  readonly #texts = new WeakMap<Entry, string>();
  #revision: number;
  #compactedTo: number;
  #historyBytes: number;

  constructor(options: SqliteLedgerOptions) {
    this.#reserve = options.reserve;
    this.#database = open(options);
    this.#statements = prepare(this.#database);
    const meta = (name: string) =>
      (
        this.#database.prepare('SELECT value FROM meta WHERE name = ?').get(name) as {
          value: never;
        }
      ).value;
    this.incarnation = meta('incarnation');
    this.#compactedTo = meta('compacted');
    const history = this.#database
      .prepare(
        `SELECT max(revision) AS last,
                sum(length(key) + ifnull(length(before), 0) + ifnull(length(after), 0)) AS bytes
         FROM changes`,
      )
      .get() as { last: number | null; bytes: number | null };
    this.#revision = history.last ?? this.#compactedTo;
    this.#historyBytes = history.bytes ?? 0;
  }

  revision(): number {
    return this.#revision;
  }

  compactedTo(): number {
    return this.#compactedTo;
  }

  historySize(): HistorySize {
    return { commits: this.#revision - this.#compactedTo, bytes: this.#historyBytes };
  }

  read(key: string): Entry | undefined {
    const row = this.#statements.read.get(key) as unknown as [text: string] | undefined;
    if (!row) return undefined;
    const entry = entryOf(key, row[0]);
    this.#texts.set(entry, row[0]);
    return entry;
  }

  readRange({ prefix, after, limit = -1 }: ReadRange): Entry[] {
    const start = after !== undefined && after >= prefix ? after : prefix;
    const rows = this.#statements.range.all(start, endOf(prefix), after ?? '', limit) as {
      key: string;
      entry: string;
    }[];
    return rows.map(({ key, entry }) => entryOf(key, entry));
  }

  commitsAfter(revision: number, limit: number): Commit[] {
    const last = Math.min(this.#revision, revision + limit);
    const commits: Commit[] = [];
    for (const row of this.#statements.history.iterate(revision, last)) {
      const { revision: number, key, before, after } = row as unknown as ChangeRow;
      let commit = commits.at(-1);
      if (commit?.revision !== number) {
        commit = { revision: number, changes: [] };
        commits.push(commit);
      }
      commit.changes.push({
        key,
        ...(before === null ? {} : { before: entryOf(key, before) }),
        ...(after === null ? {} : { after: entryOf(key, after) }),
      });
    }
    return commits;
  }

  atomically<T>(work: () => T): T {
    const [revision, bytes] = [this.#revision, this.#historyBytes];
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      this.#revision = revision;
      this.#historyBytes = bytes;
      // A full disk may have rolled it back already.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  append({ revision, changes }: Commit, texts: readonly (string | undefined)[] = []): void {
    for (const [position, change] of changes.entries()) {
      const { after } = change;
      this.#apply(change, after ? textOf(after, texts[position]) : null, { revision, position });
    }
    this.#revision = revision;
  }

  #apply(
    { key, before, after }: Change,
    afterText: string | null,
    { revision, position }: { revision: number; position: number },
  ): void {
    const { put, remove, record } = this.#statements;
    const beforeText = before ? (this.#texts.get(before) ?? textOf(before)) : null;
    if (after) put.run(key, afterText, after.lease ?? null);
    else remove.run(key);
    record.run(revision, position, key, beforeText, afterText);
    this.#historyBytes += key.length + (beforeText?.length ?? 0) + (afterText?.length ?? 0);
  }

  leases(): LeaseRecord[] {
    return this.#database
      .prepare('SELECT id, ttl_ms AS ttlMs FROM leases')
      .all() as unknown as LeaseRecord[];
  }

  addLease({ id, ttlMs }: LeaseRecord): void {
    this.#statements.addLease.run(id, ttlMs);
  }

  removeLease(id: string): void {
    this.#statements.removeLease.run(id);
  }

  hasLease(id: string): boolean {
    return this.#statements.hasLease.get(id) !== undefined;
  }

  keysOfLease(id: string): string[] {
    return this.#statements.keysOfLease.all(id).map((row) => row.key as string);
  }

  replaceAll(entries: readonly CheckedReplacement[], incarnation: string): void {
    const last = this.#revision + entries.length + 1;
    this.atomically(() => {
      this.#database.exec('DELETE FROM entries; DELETE FROM changes');
      const { put, setCompacted, setIncarnation } = this.#statements;
      const named = new Set(entries.map(({ lease }) => lease));
      for (const { id } of this.leases()) if (!named.has(id)) this.removeLease(id);
      for (const [index, { key, text, lease }] of entries.entries()) {
        const number = this.#revision + index + 1;
        const under = lease === undefined ? '' : `,"lease":${JSON.stringify(lease)}`;
        const numbers = `"createRevision":${number},"modRevision":${number}`;
        put.run(key, `{"value":${text},${numbers}${under}}`, lease ?? null);
      }
      setCompacted.run(last);
      setIncarnation.run(incarnation);
    });
    this.#revision = last;
    this.#compactedTo = last;
    this.#historyBytes = 0;
    this.incarnation = incarnation;
  }

  compact(revision: number): void {
    const bytes = this.atomically(() => {
      const { bytes } = this.#statements.bytesUpTo.get(revision) as { bytes: number | null };
      this.#statements.forget.run(revision);
      this.#statements.setCompacted.run(revision);
      return bytes ?? 0;
    });
    this.#historyBytes -= bytes;
    this.#compactedTo = revision;
  }

  /** What was last said about a move of this store, durable; survives everything but another `writeMove`. */
  readMove(): string | undefined {
    const row = this.#database.prepare("SELECT value FROM meta WHERE name = 'move'").get();
    return row ? String(row.value) : undefined;
  }

  writeMove(text: string | undefined): void {
    this.atomically(() => {
      this.#database.prepare("DELETE FROM meta WHERE name = 'move'").run();
      if (text !== undefined)
        this.#database.prepare("INSERT INTO meta VALUES ('move', ?)").run(text);
    });
  }

  /** Deletes write too: they get the reserve, and the history gives its room back. */
  releaseReserve(): boolean {
    if (!this.#reserve.release()) return false;
    this.compact(this.#revision);
    this.#database.exec('PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)');
    return true;
  }

  hasRoom(): boolean {
    return this.#reserve.isHeld || this.#reserve.take();
  }

  close(): void {
    this.#database.close();
  }
}

type Statements = ReturnType<typeof prepare>;

function prepare(database: DatabaseSync) {
  const statement = (sql: string): StatementSync => database.prepare(sql);
  const read = statement('SELECT entry FROM entries WHERE key = ?');
  // Every put reads first, and an array is made in two thirds of the time of an object.
  read.setReturnArrays(true);
  return {
    read,
    range: statement(
      'SELECT key, entry FROM entries WHERE key >= ? AND key < ? AND key > ? ORDER BY key LIMIT ?',
    ),
    put: statement(
      `INSERT INTO entries (key, entry, lease) VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET entry = excluded.entry, lease = excluded.lease`,
    ),
    remove: statement('DELETE FROM entries WHERE key = ?'),
    record: statement('INSERT INTO changes VALUES (?, ?, ?, ?, ?)'),
    history: statement(
      `SELECT revision, key, before, after FROM changes
       WHERE revision > ? AND revision <= ? ORDER BY revision, position`,
    ),
    addLease: statement('INSERT INTO leases VALUES (?, ?)'),
    removeLease: statement('DELETE FROM leases WHERE id = ?'),
    hasLease: statement('SELECT 1 FROM leases WHERE id = ?'),
    keysOfLease: statement('SELECT key FROM entries WHERE lease = ? ORDER BY key'),
    bytesUpTo: statement(
      `SELECT sum(length(key) + ifnull(length(before), 0) + ifnull(length(after), 0)) AS bytes
       FROM changes WHERE revision <= ?`,
    ),
    forget: statement('DELETE FROM changes WHERE revision <= ?'),
    setIncarnation: statement("UPDATE meta SET value = ? WHERE name = 'incarnation'"),
    setCompacted: statement("UPDATE meta SET value = ? WHERE name = 'compacted'"),
  };
}

function open(options: SqliteLedgerOptions): DatabaseSync {
  const { path, incarnation, isDurable } = options;
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    // Exclusive: a second daemon on the same file fails here, and no shared-memory file is needed.
    database.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA auto_vacuum = INCREMENTAL;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = ${isDurable ? 'FULL' : 'OFF'};
      PRAGMA cache_size = -${cacheKib};
      PRAGMA wal_autocheckpoint = ${checkpointPages};
      PRAGMA temp_store = MEMORY;
    `);
    const [id, version] = [pragma(database, 'application_id'), pragma(database, 'user_version')];
    if (id === 0 && version === 0) create(database, incarnation);
    else if (id !== applicationId || version !== schemaVersion)
      throw storeErrors.damaged(
        `open the store ${path}: it is of another program or version (${id}, ${version})`,
      );
    beginIfRestored(database, options);
    return database;
  } catch (cause) {
    database?.close();
    if (cause instanceof Error && 'code' in cause && String(cause.code).startsWith('store.'))
      throw cause;
    const text = cause instanceof Error ? cause.message : String(cause);
    throw storeErrors.damaged(
      `open the store ${path}: ${text}. Is another daemon running on this folder?`,
      { cause },
    );
  }
}

function create(database: DatabaseSync, incarnation: string): void {
  database.exec(`BEGIN IMMEDIATE; ${schema}`);
  const insert = database.prepare('INSERT INTO meta VALUES (?, ?)');
  insert.run('incarnation', incarnation);
  insert.run('compacted', 0);
  database.exec(
    `PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${schemaVersion}; COMMIT`,
  );
}

function pragma(database: DatabaseSync, name: string): number {
  return (database.prepare(`PRAGMA ${name}`).get() as Record<string, number>)[name] as number;
}

function textOf(
  { value, createRevision, modRevision, lease }: Entry,
  valueText = JSON.stringify(value),
): string {
  const leaseText = lease === undefined ? '' : `,"lease":${JSON.stringify(lease)}`;
  return `{"value":${valueText},"createRevision":${createRevision},"modRevision":${modRevision}${leaseText}}`;
}

function entryOf(key: string, text: string): Entry {
  return { key, ...(JSON.parse(text) as Omit<Entry, 'key'>) };
}

/** Keys are ASCII, so this sorts after every key with the prefix. */
function endOf(prefix: string): string {
  return `${prefix}\u{7f}`;
}
