// The disk of the store is full: reads and deletes work, writes fail clearly, nothing corrupts, and room heals it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '#core/clock';
import { hasCode } from '#core/errors';
import { silentLog } from '#core/log';
import type { Store } from '#layer0/store/client';
import { openSqliteStore } from '#layer0/store/index';

const skip = process.getuid?.() === 0 ? false : 'needs root to mount a small file system';
const diskBytes = 32 * 1024 * 1024;
const value = 'v'.repeat(20_000);

async function onSmallDisk(body: (disk: string) => Promise<void>): Promise<void> {
  const disk = mkdtempSync(join(tmpdir(), 'gantry-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', disk]);
  try {
    await body(disk);
  } finally {
    // Lazy: a store left open by a failed assertion must not keep the mount.
    execFileSync('umount', ['-l', disk]);
    rmdirSync(disk);
  }
}

const openOn = (disk: string) =>
  openSqliteStore({ folder: join(disk, 'store'), clock: systemClock, log: silentLog });

const put = (store: Store, key: string) =>
  store.txn({ compare: [], operations: [{ put: key, value }] });

/** Writes until the store says that its disk is full; what was acknowledged. */
async function fill(store: Store): Promise<string[]> {
  const written: string[] = [];
  const attempts = 2 * (diskBytes / value.length);
  for (let number = 0; number < attempts; number++) {
    const key = `k/${number}`;
    try {
      await put(store, key);
      written.push(key);
    } catch (error) {
      assert.ok(hasCode(error, 'store.full'), String(error));
      return written;
    }
  }
  return assert.fail(`${attempts} writes of ${value.length} bytes went into ${diskBytes} bytes`);
}

const keysOf = async (store: Store) => (await store.list('')).entries.map(({ key }) => key);

test('on a full disk reads and deletes work and writes fail; room heals it', { skip }, () =>
  onSmallDisk(async (disk) => {
    const store = await openOn(disk);
    writeFileSync(join(disk, 'somebody-elses'), Buffer.alloc(8 * 1024 * 1024));
    const written = await fill(store);
    writeFillUp(disk);
    assert.ok(written.length > 100, `only ${written.length} writes before the disk was full`);
    assert.deepEqual((await keysOf(store)).sort(), [...written].sort());

    const deleted = written.slice(0, written.length / 2);
    for (const key of deleted)
      assert.equal((await store.txn({ compare: [], operations: [{ delete: key }] })).ok, true);
    const rest = written.slice(written.length / 2).sort();
    assert.deepEqual((await keysOf(store)).sort(), rest);

    await store.close();
    const again = await openOn(disk);
    assert.deepEqual((await keysOf(again)).sort(), rest);
    assert.equal((await again.get(rest[0] ?? ''))?.value, value);

    rmSync(join(disk, 'somebody-elses'));
    rmSync(join(disk, 'fill-up'), { force: true });
    assert.equal((await put(again, 'after/room')).ok, true);
    assert.equal(again.status().hasRoom, true);
    await again.close();
  }),
);

/** Takes what is left, so that only the store's own reserve remains. */
function writeFillUp(disk: string): void {
  try {
    writeFileSync(join(disk, 'fill-up'), Buffer.alloc(diskBytes));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
  }
}
