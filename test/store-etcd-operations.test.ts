// Running the etcd of a store: mutual TLS, members come, go and are replaced, snapshots come back as another life, and a
// database without room takes deletes, says so, and is healed.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { systemClock as clock } from '#core/clock';
import { hasCode } from '#core/errors';
import { silentLog as log } from '#core/log';
import { systemRandom as random } from '#core/random';
import { retry } from '#core/retry';
import { createMirror, type Store } from '#layer0/store/client';
import {
  addLearner,
  createEtcdKeeper,
  type EtcdStore,
  listAlarms,
  listMembers,
  promoteMember,
  readStatus,
  removeMember,
  restoreArguments,
  saveSnapshot,
} from '#layer0/store/index';
import { waitFor } from './cluster/wait.ts';
import {
  type ClusterOptions,
  EtcdCluster,
  type EtcdMember,
  makeTls,
} from './store/etcd-cluster.ts';

let cleanUps: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
  cleanUps = [];
});

async function startCluster(options: ClusterOptions): Promise<EtcdCluster> {
  const cluster = new EtcdCluster(options);
  cleanUps.push(() => cluster.stop());
  return cluster.start();
}

async function openOn(cluster: EtcdCluster): Promise<EtcdStore> {
  const store = await cluster.open();
  cleanUps.push(() => store.close());
  return store;
}

const put = (store: Store, key: string, value: unknown = 1) =>
  store.txn({ compare: [], operations: [{ put: key, value }] });
const patience = { clock, random, minMs: 50, maxMs: 500, deadlineMs: 60_000 };

test('members speak mutual TLS with each other and with the store, and with nobody else', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-etcd-tls-'));
  cleanUps.push(() => rmSync(folder, { recursive: true }));
  const tls = makeTls(folder);
  const cluster = await startCluster({ size: 3, tls });
  const store = await openOn(cluster);
  const { revision } = await put(store, 'k/a');
  await put(store, 'k/b');
  for await (const { events } of store.watch('k/', { from: revision })) {
    assert.deepEqual(
      events.map(({ key }) => key),
      ['k/b'],
    );
    break;
  }
  const lease = await store.grantLease(10_000);
  await store.keepAlive(lease.id);
  const [endpoint = ''] = cluster.endpoints;
  const ca = readFileSync(tls.caFile, 'utf8');
  const stranger = cluster.open({
    endpoints: [endpoint],
    credentials: () => ({ ca, cert: '', key: '' }),
  });
  await assert.rejects(stranger, (error) => hasCode(error, 'core.unreachable'));
});

test('a dead member is replaced by one that learns first, and the cluster survives another loss', async () => {
  const cluster = await startCluster({ size: 3 });
  const [one, two, lost] = cluster.members as [EtcdMember, EtcdMember, EtcdMember];
  const store = await openOn(cluster);
  await put(store, 'k/kept', 'yes');
  await cluster.kill(lost);
  const dead = (await listMembers(store.client)).find(({ name }) => name === lost.name);
  // etcd loses a change that its leader did not live to pass on: it is asked for again.
  for (let time = 0; time < 2; time++)
    await retry(() => removeMember(store.client, dead?.id ?? ''), patience);

  const fresh = await cluster.name('m4');
  const { id, members } = await retry(() => addLearner(store.client, fresh), patience);
  assert.equal((await addLearner(store.client, fresh)).id, id);
  assert.deepEqual(members, {
    [one.name]: one.peerUrl,
    [two.name]: two.peerUrl,
    [fresh.name]: fresh.peerUrl,
  });
  const learner = (await listMembers(store.client)).find((each) => each.id === id);
  assert.equal(learner?.isLearner, true);
  cluster.members = [one, two];
  cluster.startMember(fresh, 'existing');
  await retry(() => promoteMember(store.client, id), patience);
  await promoteMember(store.client, id);
  await cluster.ready([fresh]);

  await cluster.kill(one);
  store.client.setEndpoints([fresh.clientUrl, two.clientUrl]);
  await waitFor('a write with the new member', () =>
    put(store, 'k/after').then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  assert.equal((await store.get('k/kept'))?.value, 'yes');
});

/** etcd 3.5 has a tool of its own for this; 3.4 has etcdctl. */
function restore(args: string[]): void {
  const tool = spawnSync('etcdutl', ['version']).error ? 'etcdctl' : 'etcdutl';
  const env = { ...process.env, ETCDCTL_API: '3' };
  const { status, stderr, error } = spawnSync(tool, args, { encoding: 'utf8', env });
  assert.equal(status, 0, `${tool}: ${error ?? stderr}`);
}

test('a snapshot that is restored is another life of the store: copies list again, old compares fail', async () => {
  const cluster = await startCluster({ size: 1 });
  const [member] = cluster.members as [EtcdMember];
  const store = await openOn(cluster);
  const mirror = createMirror(store, 'k/', {
    clock,
    random,
    log,
    signal: new AbortController().signal,
  });
  await mirror.synced;
  const before = await put(store, 'k/saved', { x: 'é' });
  const file = join(cluster.folder, 'snapshot.db');
  const bytes = await saveSnapshot(store.client, member.clientUrl, file);
  assert.equal(readFileSync(file).length, bytes);
  const { revision: old } = await put(store, 'k/later');
  await waitFor('both in the copy', () => mirror.entries().size === 2);

  await cluster.kill(member);
  member.dataFolder = join(cluster.folder, 'restored');
  const { name, peerUrl, dataFolder } = member;
  const clusterToken = 'another';
  const members = { [name]: peerUrl };
  restore(restoreArguments({ name, peerUrl, dataFolder, members, clusterToken, file }));
  cluster.startMember(member, 'new', clusterToken);
  await cluster.ready([member]);

  const again = await openOn(cluster);
  const { revision } = await again.list('k/');
  assert.notEqual(revision.incarnation, old.incarnation);
  const stale = {
    incarnation: old.incarnation,
    compare: [],
    operations: [{ put: 'k/x', value: 1 }],
  };
  await assert.rejects(store.txn(stale), (error) => hasCode(error, 'store.conflict'));
  await assert.rejects(store.list('k/', { at: old }), (error) => hasCode(error, 'store.conflict'));
  await waitFor('the copy to be of the new life', () => {
    return mirror.revision?.incarnation === revision.incarnation;
  });
  assert.deepEqual([...mirror.entries().keys()], ['k/saved']);
  assert.deepEqual(mirror.get('k/saved')?.value, { x: 'é' });
  assert.equal(mirror.get('k/saved')?.modRevision, before.revision.revision);
});

test('without room writes are refused, reads and deletes work, and the keeper makes room again', async () => {
  const quotaBytes = 8 * 1024 * 1024;
  const cluster = await startCluster({ size: 1, quotaBytes });
  const [member] = cluster.members as [EtcdMember];
  const store = await openOn(cluster);
  const value = 'v'.repeat(100_000);
  const written: string[] = [];
  const fill = async () => {
    for (let number = 0; number < 200; number++) {
      await put(store, `k/${number}`, value);
      written.push(`k/${number}`);
    }
  };
  await assert.rejects(fill(), (error) => hasCode(error, 'store.full'));
  const lease = store.grantLease(10_000);
  await assert.rejects(lease, (error) => hasCode(error, 'store.full'));
  assert.deepEqual(
    (await listAlarms(store.client)).map(({ alarm }) => alarm),
    ['NOSPACE'],
  );
  assert.equal((await store.list('k/', { limit: 1 })).entries.length, 1);
  for (const key of written.slice(1))
    assert.equal((await store.txn({ compare: [], operations: [{ delete: key }] })).ok, true);
  const before = await readStatus(store.client, member.clientUrl);

  const keeper = createEtcdKeeper(store, { identity: 'test', quotaBytes, clock, random, log });
  cleanUps.push(() => keeper.stop());
  await keeper.start();
  await waitFor('writes to be taken again', () =>
    put(store, 'k/again', value).then(
      ({ ok }) => ok,
      (error: unknown) => {
        if (!hasCode(error, 'store.full')) throw error;
        return false;
      },
    ),
  );
  const healed = await readStatus(store.client, member.clientUrl);
  assert.ok(healed.dbBytes < before.dbBytes / 2, `${before.dbBytes} -> ${healed.dbBytes} bytes`);
  assert.deepEqual(await listAlarms(store.client), []);
  assert.equal((await store.get('k/0'))?.value, value);
});

test('a list of more entries than one request holds is of one revision', async () => {
  const store = await openOn(await startCluster({ size: 1 }));
  const keys = Array.from({ length: 1_234 }, (_, index) => `k/${String(index).padStart(5, '0')}`);
  for (let start = 0; start < keys.length; start += 100)
    await store.txn({
      compare: [],
      operations: keys.slice(start, start + 100).map((key) => ({ put: key, value: start })),
    });
  const { entries, next } = await store.list('k/');
  assert.deepEqual([entries.map(({ key }) => key), next], [keys, undefined]);
  const page = await store.list('k/', { limit: 700, after: 'k/00099' });
  assert.deepEqual(
    [page.entries.length, page.entries[0]?.key, page.next],
    [700, 'k/00100', 'k/00799'],
  );
});
