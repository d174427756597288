// Is this the file that the store wrote into last, or a copy that was put in its place? A copy begins a new incarnation:
// what was read of the other file may never have been in this one, so whoever follows the store must list again.

import { existsSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { isDiskFull } from './ledger.ts';
import type { Reserve } from './reserve.ts';

/** Beside the store's file it says what cannot be seen: that an older state was put into the very same file. */
export const restoredFlag = 'restored';

export interface Opened {
  path: string;
  /** The one to begin. */
  incarnation: string;
  /** What this needs on a full disk. */
  reserve: Reserve;
}

/** A new incarnation when the file is another one than last time, or when `restored` lies beside it: that goes then. */
export function beginIfRestored(database: DatabaseSync, opened: Opened): void {
  const { path, incarnation, reserve } = opened;
  const flag = join(dirname(path), restoredFlag);
  const known = database.prepare("SELECT value FROM meta WHERE name = 'file'").get();
  const file = identityOf(path);
  const isFlagged = existsSync(flag);
  if (known?.value === file && !isFlagged) return;
  const rows = { file, ...(isFlagged || known ? { incarnation } : {}) };
  try {
    write(database, rows);
  } catch (error) {
    if (!isDiskFull(error) || !reserve.release()) throw error;
    write(database, rows);
  }
  rmSync(flag, { force: true });
}

function write(database: DatabaseSync, rows: Record<string, string>): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    const set = database.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)');
    for (const [name, value] of Object.entries(rows)) set.run(name, value);
    database.exec('COMMIT');
  } catch (error) {
    // A full disk may have rolled it back already.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** Another one for each file that is made, also where the number of one that is gone is used again. */
function identityOf(path: string): string {
  const { ino, birthtimeNs } = statSync(path, { bigint: true });
  return `${ino}-${birthtimeNs}`;
}
