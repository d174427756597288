// What only the store on disk does: it comes back, shares syncs, and refuses a second owner.

import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'node:test';
import { hasCode } from '#core/errors';
import { FakeClock } from '#core/fake-clock';
import { silentLog as log } from '#core/log';
import { openSqliteStore } from './index.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gantry-store-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = (clock = new FakeClock()) => openSqliteStore({ folder, clock, log });
const put = (key: string, value: unknown = 1) => ({
  compare: [],
  operations: [{ put: key, value }],
});

test('incarnation, revision, entries and history survive a restart', async () => {
  const first = await open();
  const { revision: from } = await first.txn(put('k/a'));
  await first.txn(put('k/a', 2));
  await first.txn({ compare: [], operations: [{ delete: 'k/a' }] });
  await first.close();
  const again = await open();
  assert.equal(again.incarnation, from.incarnation);
  const { revision } = await again.txn(put('k/b'));
  assert.equal(revision.revision, from.revision + 3);
  const seen: string[] = [];
  for await (const { events } of again.watch('k/', { from })) {
    seen.push(...events.map(({ type, key, entry }) => `${type} ${key} ${entry.value}`));
    if (seen.length === 3) break;
  }
  assert.deepEqual(seen, ['put k/a 2', 'delete k/a 2', 'put k/b 1']);
  const { entries } = await again.list('', { at: from });
  assert.deepEqual(entries, [{ key: 'k/a', value: 1, createRevision: 1, modRevision: 1 }]);
  await again.close();
});

test('a folder that was restored from a copy begins a new incarnation, and followers list again', async () => {
  const first = await open();
  const { revision: from } = await first.txn(put('k/a'));
  await first.close();
  const copy = `${folder}-copy`;
  cpSync(folder, copy, { recursive: true });
  const later = await open();
  await later.txn(put('k/b'));
  await later.close();
  rmSync(folder, { recursive: true });
  renameSync(copy, folder);
  const restored = await open();
  assert.notEqual(restored.incarnation, from.incarnation);
  const { entries, revision } = await restored.list('k/');
  assert.deepEqual(
    entries.map(({ key }) => key),
    ['k/a'],
  );
  assert.deepEqual(revision, { incarnation: restored.incarnation, revision: from.revision });
  const watching = restored.watch('k/', { from })[Symbol.asyncIterator]().next();
  await assert.rejects(watching, (error: unknown) => hasCode(error, 'store.compacted'));
  await restored.close();
  const again = await open();
  assert.equal(again.incarnation, restored.incarnation);
  await again.close();
});

test('a file `restored` in the folder begins a new incarnation, once: for what no copy shows', async () => {
  const first = await open();
  await first.txn(put('k'));
  await first.close();
  writeFileSync(join(folder, 'restored'), '');
  const restored = await open();
  assert.notEqual(restored.incarnation, first.incarnation);
  assert.ok(await restored.get('k'));
  await restored.close();
  const again = await open();
  assert.equal(again.incarnation, restored.incarnation);
  await again.close();
});

test('a store that never noted its file goes on in its incarnation', async () => {
  const first = await open();
  await first.close();
  const database = new DatabaseSync(join(folder, 'store.sqlite'));
  database.exec("DELETE FROM meta WHERE name = 'file'");
  database.close();
  const again = await open();
  assert.equal(again.incarnation, first.incarnation);
  await again.close();
});

test('the revision does not go back when all history is compacted before a restart', async () => {
  const first = await open();
  await first.txn(put('a'));
  const { revision } = await first.txn(put('a', 2));
  await first.compact();
  await first.close();
  const again = await open();
  assert.equal(again.status().revision, revision.revision);
  assert.equal(again.status().compactedTo, revision.revision);
  await again.close();
});

test('a restart gives a lease its full time again, then it ends', async () => {
  const clock = new FakeClock();
  const first = await open(clock);
  const lease = await first.grantLease(10_000);
  await first.txn({ compare: [], operations: [{ put: 'k', value: 1, lease: lease.id }] });
  await clock.advance(9_000);
  await first.close();
  const again = await open(clock);
  await clock.advance(9_000);
  assert.ok(await again.get('k'));
  await clock.advance(2_000);
  assert.equal(await again.get('k'), undefined);
  await again.close();
});

test('a second process cannot open the store of the first', async () => {
  const store = await open();
  await assert.rejects(open(), (error: unknown) => hasCode(error, 'store.damaged'));
  await store.close();
});

test('closing commits what waits, and every later call says that the store is closed', async () => {
  const store = await open();
  const waiting = store.txn(put('a'));
  await store.close();
  assert.equal((await waiting).ok, true);
  await assert.rejects(store.get('a'), (error: unknown) => hasCode(error, 'store.unavailable'));
});

test('one failing transaction of a group does not fail its neighbours', async () => {
  const store = await open();
  const late = { put: 'b', value: 1, lease: 'lease-none' };
  const [a, b, c] = await Promise.allSettled([
    store.txn(put('a')),
    store.txn({ compare: [], operations: [late] }),
    store.txn(put('c')),
  ]);
  assert.deepEqual([a.status, b.status, c.status], ['fulfilled', 'rejected', 'fulfilled']);
  assert.equal(store.status().revision, 2);
  await store.close();
});

test('history is kept to its limit, entries are not touched by it', async () => {
  const store = await open();
  const from = { incarnation: store.incarnation, revision: 1 };
  for (let round = 0; round < 12; round++)
    await Promise.all(Array.from({ length: 1_000 }, (_, key) => store.txn(put(`k/${key}`, round))));
  const { revision, compactedTo } = store.status();
  assert.equal(revision, 12_000);
  assert.ok(compactedTo > 0 && compactedTo <= 2_000, `compacted to ${compactedTo}`);
  await assert.rejects(store.list('', { at: from }), (error: unknown) =>
    hasCode(error, 'store.compacted'),
  );
  assert.equal((await store.list('')).entries.length, 1_000);
  await store.close();
});
