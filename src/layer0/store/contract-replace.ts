// What every engine must do when another state takes the place of the one that is there.

import assert from 'node:assert/strict';
import { hasCode } from '#core/errors';
import type { Operation, Replacement, Store, WatchBatch } from './client.ts';
import type { Check } from './contract.ts';

const put = (key: string, value: unknown, lease?: string): Operation =>
  lease === undefined ? { put: key, value } : { put: key, value, lease };
const entry = (key: string, value: unknown, order = 0): Replacement => ({ key, value, order });

const commit = async (store: Store, ...operations: Operation[]) =>
  (await store.txn({ compare: [], operations })).revision;

const rejectsWith = (promise: Promise<unknown>, code: string) =>
  assert.rejects(promise, (error: unknown) => {
    assert.ok(hasCode(error, code), `expected ${code}, got ${String(error)}`);
    return true;
  });

const keysOf = async (store: Store) => (await store.list('')).entries.map(({ key }) => key);

export function registerReplacing(check: Check): void {
  registerState(check);
  registerOthers(check);
}

function registerState(check: Check): void {
  check('another state takes the place of all, under a new incarnation', async ({ store }) => {
    const before = await commit(store, put('a/1', 1), put('a/2', 2));
    const revision = await store.replaceAll([entry('a/2', { new: true }), entry('b/1', 3)], []);
    assert.notEqual(revision.incarnation, before.incarnation);
    const list = await store.list('');
    assert.deepEqual(list.revision, revision);
    assert.deepEqual(
      list.entries.map(({ key, value }) => [key, value]),
      [
        ['a/2', { new: true }],
        ['b/1', 3],
      ],
    );
    assert.equal(await store.get('a/1'), undefined);
    const after = await commit(store, put('a/3', 1), { delete: 'b/1' });
    assert.equal(after.incarnation, revision.incarnation);
    assert.deepEqual(await keysOf(store), ['a/2', 'a/3']);
  });

  check('twice is as good as once, and nothing at all is a state too', async ({ store }) => {
    await commit(store, put('a', 1));
    const first = await store.replaceAll([entry('b', 1)], []);
    const second = await store.replaceAll([entry('b', 1)], []);
    assert.notEqual(first.incarnation, second.incarnation);
    assert.deepEqual(await keysOf(store), ['b']);
    await store.replaceAll([], []);
    assert.deepEqual(await keysOf(store), []);
  });

  check('entries of a lower order are older, whatever their keys', async ({ store }) => {
    const many = Array.from({ length: 250 }, (_, index) => entry(`many/${index}`, index));
    await store.replaceAll(
      [entry('x/b', 1, 2), entry('x/a', 1, 3), entry('x/c', 1, 1), ...many],
      [],
    );
    const { entries } = await store.list('x/');
    const oldestFirst = entries.sort((a, b) => a.createRevision - b.createRevision);
    assert.deepEqual(
      oldestFirst.map(({ key }) => key),
      ['x/c', 'x/b', 'x/a'],
    );
    assert.equal((await store.list('many/')).entries.length, 250);
  });

  check('what was read before is no ground for a commit', async ({ store }) => {
    const { incarnation } = await commit(store, put('a', 1));
    const seen = await store.get('a');
    assert.ok(seen);
    await store.replaceAll([entry('a', 1)], []);
    const operations = [put('a', 2)];
    await rejectsWith(store.txn({ incarnation, compare: [], operations }), 'store.conflict');
    const compare = [{ key: 'a', modRevision: seen.modRevision }];
    assert.equal((await store.txn({ compare, operations })).ok, false);
    assert.equal((await store.get('a'))?.value, 1);
  });
}

/** Who has read, who watches and who holds something. */
function registerOthers(check: Check): void {
  check('watches end with store.compacted, and begin again', async ({ store }) => {
    const from = await commit(store, put('a/1', 1));
    const read = async (batches: AsyncIterable<WatchBatch>) => {
      for await (const _batch of batches);
    };
    const ended = rejectsWith(read(store.watch('a/', { from })), 'store.compacted');
    // One that has not begun when the state changes must end too.
    const late = store.watch('a/', { from });
    const revision = await store.replaceAll([entry('a/1', 2)], []);
    await ended;
    await rejectsWith(read(late), 'store.compacted');
    const end = new AbortController();
    const batches = store.watch('a/', { from: revision, signal: end.signal });
    await commit(store, put('a/2', 1));
    let first: WatchBatch | undefined;
    for await (const batch of batches) {
      first = batch;
      end.abort();
    }
    assert.deepEqual(
      first?.events.map(({ key }) => key),
      ['a/2'],
    );
  });

  check('leases that are named go on, of others no key is left', async ({ store, passTime }) => {
    const [kept, other] = [await store.grantLease(2_000), await store.grantLease(60_000)];
    await commit(store, put('kept', 1, kept.id), put('other', 1, other.id));
    const seen = await store.get('kept');
    assert.ok(seen?.lease);
    await store.replaceAll([{ ...entry('kept', 2), lease: seen.lease }], []);
    await store.keepAlive(kept.id);
    assert.deepEqual(await keysOf(store), ['kept']);
    const { revision } = await store.list('');
    const gone = (async () => {
      for await (const { events } of store.watch('kept', { from: revision }))
        if (events.some(({ type }) => type === 'delete')) return;
    })();
    for (let second = 0; second < 8; second++) await passTime(500);
    await gone;
    assert.deepEqual(await keysOf(store), []);
    const again = { ...entry('kept', 3), lease: seen.lease };
    await rejectsWith(store.replaceAll([again], []), 'store.leaseNotFound');
  });

  check('elections that are left out begin anew', async ({ store }) => {
    const campaign = { identity: 'one', ttlMs: 60_000, signal: new AbortController().signal };
    const leader = await store.elect('chief', campaign);
    await store.replaceAll([], []);
    const write = (fence: typeof leader.fence) =>
      store.txn({ compare: [fence], operations: [put('by', 1)] });
    assert.equal((await write(leader.fence)).ok, false);
    const next = await store.elect('chief', { ...campaign, identity: 'two' });
    assert.notEqual(next.incarnation, leader.incarnation);
    assert.deepEqual([(await write(leader.fence)).ok, (await write(next.fence)).ok], [false, true]);
    await next.resign();
  });

  check('nothing changes when a compare does not hold, or the state is none', async ({ store }) => {
    const before = await commit(store, put('a', 1), put('b', { deep: [1] }));
    const attempt = (entries: Replacement[], ...compare: Parameters<Store['replaceAll']>[1]) =>
      store.replaceAll(entries, compare);
    await rejectsWith(attempt([entry('c', 1)], { key: 'a', is: 'absent' }), 'store.conflict');
    const other = { key: 'b', value: { deep: [2] } };
    await rejectsWith(attempt([entry('c', 1)], other), 'store.conflict');
    await rejectsWith(attempt([entry('c', 1), entry('c', 2)]), 'store.invalid');
    await rejectsWith(attempt([entry('no key', 1)]), 'store.invalidKey');
    assert.deepEqual(await keysOf(store), ['a', 'b']);
    assert.equal((await store.list('')).revision.incarnation, before.incarnation);
    await attempt([entry('c', 1)], { key: 'b', value: { deep: [1] } });
    assert.deepEqual(await keysOf(store), ['c']);
  });
}
