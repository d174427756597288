// The live embedded store moves to a real etcd: everything is there, under numbers that only grow, readers list again, held
// writers may try again, and each point where a life can end has one store in charge afterwards.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { systemClock as clock } from '#core/clock';
import { hasCode } from '#core/errors';
import { silentLog as log } from '#core/log';
import { systemRandom as random } from '#core/random';
import { createMirror } from '#layer0/store/client';
import {
  attachEtcdStore,
  EtcdClient,
  findStore,
  type MovableStore,
  type Moving,
  moveStore,
  openSqliteStore,
  SwitchingStore,
  settleMove,
} from '#layer0/store/index';
import { waitFor } from './cluster/wait.ts';
import { EtcdCluster } from './store/etcd-cluster.ts';

let cleanUps: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
  cleanUps = [];
});

const record = { token: 'etcd-one', incarnation: 'inc-moved' };
const place = { token: record.token };

/** An embedded store with something in it, and an etcd with nothing. */
async function bed() {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-move-'));
  cleanUps.push(() => rmSync(folder, { recursive: true }));
  const cluster = await new EtcdCluster({ size: 1 }).start();
  cleanUps.push(() => cluster.stop());
  const open = async () => {
    const store = await openSqliteStore({ folder, clock, random, log });
    cleanUps.push(() => store.close());
    return store;
  };
  const client = new EtcdClient({ endpoints: cluster.endpoints, clock, timeoutMs: 3_000 });
  cleanUps.push(() => client.close());
  const attach = () => {
    const store = attachEtcdStore({
      endpoints: cluster.endpoints,
      clock,
      random,
      log,
      incarnation: record.incarnation,
    });
    cleanUps.push(() => store.close());
    return store;
  };
  const signal = new AbortController().signal;
  const movingOf = (source: MovableStore): Moving => {
    return { source, client, place, clock, random, log, signal };
  };
  return { open, client, attach, movingOf, cluster };
}

const put = (key: string, value: unknown, lease?: string) => ({
  compare: [],
  operations: [{ put: key, value, ...(lease ? { lease } : {}) }],
});

/** What a life that is killed at that mark leaves behind: the first is written, the second never is. */
function dyingAt(moving: Moving, state: 'deciding' | 'moved'): Moving {
  const { source } = moving;
  const killed = new AbortController();
  const writeMove = (mark: Parameters<MovableStore['writeMove']>[0]) => {
    if (mark?.state !== 'moved') source.writeMove(mark);
    if (mark?.state !== state) return;
    killed.abort(new Error('killed'));
    throw new Error('killed');
  };
  const [hold, list] = [() => source.hold(), source.list.bind(source)];
  const dying = Object.assign(Object.create(source) as MovableStore, { hold, list, writeMove });
  return { ...moving, source: dying, signal: killed.signal };
}

describe('a move to etcd', () => {
  test('takes everything along: entries, leases by their names, numbers that go on growing', async () => {
    const { open, attach, movingOf } = await bed();
    const source = await open();
    for (let number = 0; number < 250; number++)
      await source.txn(put(`k/${String(number).padStart(3, '0')}`, { number }));
    const lease = await source.grantLease(20_000);
    await source.txn(put('alive/a', 1, lease.id));
    const last = await source.txn(put('elections/x', { identity: 'a', since: 1 }, lease.id));
    await moveStore(movingOf(source), record);

    const store = attach();
    const { entries, revision } = await store.list('');
    assert.equal(entries.length, 251);
    assert.equal(revision.incarnation, record.incarnation);
    assert.equal(await store.get('elections/x'), undefined);
    for (const entry of entries)
      assert.ok(entry.modRevision > last.revision.revision, 'newer than all before');
    assert.deepEqual((await store.get('k/077'))?.value, { number: 77 });
    await store.keepAlive(lease.id);
    await store.txn(put('alive/b', 2, lease.id));
    await store.revokeLease(lease.id);
    assert.deepEqual((await store.list('alive/')).entries, []);
    const old = { compare: [{ key: 'k/000', modRevision: 1 }], operations: [{ delete: 'k/000' }] };
    assert.equal((await store.txn(old)).ok, false, 'a number of the old store matches nothing');
    await store.compact();
    const again = await store.list('k/', { at: (await store.list('k/')).revision });
    assert.equal(again.entries.length, 250);
  });

  test('is felt as another incarnation: watchers list again, held writers may try again', async () => {
    const { open, attach, movingOf } = await bed();
    const source = await open();
    const store = new SwitchingStore(source, { clock, random, log });
    const ending = new AbortController();
    cleanUps.push(() => ending.abort());
    await store.txn(put('k/a', 1));
    const mirror = createMirror<number>(store, 'k/', { clock, random, log, signal: ending.signal });
    await mirror.synced;
    const held: Promise<unknown>[] = [];
    const watched = Object.assign(Object.create(source) as MovableStore, {
      hold() {
        const hold = source.hold();
        held.push(store.txn(put('k/held', 1)));
        return hold;
      },
      list: source.list.bind(source),
      writeMove: source.writeMove.bind(source),
    });
    const moved = moveStore(movingOf(watched), record);
    await waitFor('a writer to be held', () => held.length > 0);
    const refused = assert.rejects(held[0] as Promise<unknown>, (error) =>
      hasCode(error, 'store.unavailable'),
    );
    await moved;
    await store.switchTo(attach());
    await refused;
    await store.txn(put('k/b', 2));
    await waitFor('the copy to follow', () => mirror.get('k/b')?.value === 2);
    assert.equal(mirror.revision?.incarnation, record.incarnation);
    assert.equal(mirror.get('k/a')?.value, 1);
    assert.equal(mirror.get('k/held'), undefined);
  });

  test('is for ever: the file of the store that moved answers no more, and no second store is copied there', async () => {
    const { open, movingOf } = await bed();
    const source = await open();
    await source.txn(put('k/a', 1));
    await moveStore(movingOf(source), record);
    await source.close();
    await assert.rejects(open(), (error) => hasCode(error, 'store.moved'));
    const other = mkdtempSync(join(tmpdir(), 'gantry-move-'));
    cleanUps.push(() => rmSync(other, { recursive: true }));
    const second = await openSqliteStore({ folder: other, clock, random, log });
    cleanUps.push(() => second.close());
    const again = moveStore(movingOf(second), { ...record, token: 'etcd-two' });
    await assert.rejects(again, (error) => hasCode(error, 'store.moved'));
    assert.equal((await second.txn(put('k/b', 1))).ok, true, 'it goes on');
  });

  test('that ends while it copies leaves the embedded store in charge, and is done again', async () => {
    const { open, client, movingOf } = await bed();
    const source = await open();
    await source.txn(put('k/a', 1));
    const broken = Object.assign(Object.create(source) as MovableStore, {
      hold: () => source.hold(),
      list: () => Promise.reject(new Error('the disk failed a read')),
      writeMove: source.writeMove.bind(source),
    });
    await assert.rejects(moveStore(movingOf(broken), record), /the disk failed/);
    assert.equal((await source.txn(put('k/b', 2))).ok, true, 'writes go on');
    assert.equal(await findStore(client, random), undefined);
    await source.close();
    const next = await open();
    assert.equal(next.readMove(), undefined);
    await moveStore(movingOf(next), record);
    assert.equal(await findStore(client, random), record.incarnation);
  });

  test('whose life ends before the commit that decides: the next life asks, gives it up and goes on', async () => {
    const { open, client, movingOf, cluster } = await bed();
    const source = await open();
    await source.txn(put('k/a', 1));
    await assert.rejects(moveStore(dyingAt(movingOf(source), 'deciding'), record), /killed/);
    await source.close();
    const [member] = cluster.members;
    assert.ok(member);
    cluster.signal(member, 'SIGSTOP');
    const next = await open();
    assert.equal(next.readMove()?.state, 'deciding');
    const waiting = next.txn(put('k/b', 2));
    let isWritten = false;
    waiting.then(() => {
      isWritten = true;
    }, assert.fail);
    const settled = settleMove(movingOf(next), next.hold());
    const asked = findStore(client, random).catch((error: unknown) =>
      hasCode(error, 'core.timeout'),
    );
    assert.equal(await asked, true, 'etcd says nothing');
    assert.equal(isWritten, false, 'while nobody can know, nobody writes');
    assert.equal((await next.get('k/a'))?.value, 1, 'reads go on');
    cluster.signal(member, 'SIGCONT');
    assert.equal(await settled, false);
    await waiting;
    assert.equal(next.readMove(), undefined);
    await moveStore(movingOf(next), { ...record, token: 'etcd-two' });
  });

  test('whose life ends after the commit that decides: the next life finds etcd in charge', async () => {
    const { open, attach, movingOf } = await bed();
    const source = await open();
    await source.txn(put('k/a', 1));
    await assert.rejects(moveStore(dyingAt(movingOf(source), 'moved'), record));
    await source.close();
    const next = await open();
    assert.equal(await settleMove(movingOf(next), next.hold()), true);
    await next.close();
    await assert.rejects(open(), (error) => hasCode(error, 'store.moved'));
    assert.equal((await attach().get('k/a'))?.value, 1);
  });
});
