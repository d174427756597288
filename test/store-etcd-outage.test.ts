// Members of etcd die, freeze, and lose their answers: what was answered stays, what is unknown is said to be, calls end in
// bounded time, copies outlive all of it, and everything goes on when a majority is back.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { systemClock as clock } from '#core/clock';
import { hasCode, toAppError } from '#core/errors';
import { silentLog as log } from '#core/log';
import { systemRandom as random } from '#core/random';
import { createMirror, type Store } from '#layer0/store/client';
import type { EtcdStore } from '#layer0/store/index';
import { waitFor } from './cluster/wait.ts';
import { EtcdCluster, type EtcdMember } from './store/etcd-cluster.ts';

/** A call without a quorum that takes longer has hung: its own limit is half of this. */
const hangMs = 20_000;

let running: EtcdCluster[] = [];
let stores: EtcdStore[] = [];
afterEach(async () => {
  for (const store of stores) await store.close();
  for (const cluster of running) await cluster.stop();
  [running, stores] = [[], []];
});

async function startCluster(size: number): Promise<EtcdCluster> {
  const cluster = new EtcdCluster({ size });
  running.push(cluster);
  return cluster.start();
}

async function openOn(cluster: EtcdCluster, endpoints = cluster.endpoints): Promise<EtcdStore> {
  const store = await cluster.open({ endpoints });
  stores.push(store);
  return store;
}

const put = (store: Store, key: string, value: unknown = 1) =>
  store.txn({ compare: [], operations: [{ put: key, value }] });

async function mirrorOf(store: Store) {
  const signal = new AbortController().signal;
  const mirror = createMirror(store, 'k/', { clock, random, log, signal });
  await mirror.synced;
  return mirror;
}

const [first, second, third] = [0, 1, 2] as const;
const memberOf = ({ members }: EtcdCluster, index: 0 | 1 | 2) => members[index] as EtcdMember;

test('without a majority writes fail in bounded time and copies stay; with it all goes on', async () => {
  const cluster = await startCluster(3);
  const store = await openOn(cluster);
  const mirror = await mirrorOf(store);
  await put(store, 'k/before');
  await waitFor('the write in the copy', () => mirror.get('k/before') !== undefined);
  const { incarnation } = store.status();

  for (const index of [second, third]) await cluster.kill(memberOf(cluster, index));
  const askedAt = clock.monotonicMs();
  await assert.rejects(put(store, 'k/during'), (error) => {
    const { code, retry } = toAppError(error);
    assert.ok(['core.timeout', 'store.unavailable'].includes(code), `${error}`);
    assert.equal(retry, true);
    return true;
  });
  assert.ok(clock.monotonicMs() - askedAt < hangMs, 'the write hung');
  await assert.rejects(store.get('k/before'), (error) => toAppError(error).retry);
  const refused = await waitFor('a refusal that is no doubt', () =>
    put(store, 'k/refused').then(
      () => assert.fail('a minority committed'),
      (error: unknown) => hasCode(error, 'store.unavailable'),
    ),
  );
  assert.equal(refused, true);
  await waitFor('the copy to say that it may be old', () => !mirror.isConnected);
  assert.equal(mirror.get('k/before')?.value, 1);

  for (const index of [second, third]) cluster.startMember(memberOf(cluster, index));
  await cluster.ready(cluster.members);
  await put(store, 'k/after');
  await waitFor('the copy to follow again', () => mirror.get('k/after') !== undefined);
  assert.equal(await store.get('k/refused'), undefined);
  assert.equal(store.status().incarnation, incarnation);
});

test('a leader of an election stays it, and no answered write is lost, while members die in turn', async () => {
  const cluster = await startCluster(3);
  const store = await openOn(cluster);
  const { signal } = new AbortController();
  const leadership = await store.elect('chief', { identity: 'one', ttlMs: 20_000, signal });
  const answered: string[] = [];
  let isOver = false;
  const writing = (async () => {
    for (let number = 0; !isOver; number++) {
      const key = `n/${number}`;
      const operations = [{ put: key, value: number }];
      const written = await store.txn({ compare: [leadership.fence], operations }).then(
        ({ ok }) => ok,
        (error: unknown) => {
          if (!toAppError(error).retry) throw error;
          return false;
        },
      );
      if (written) answered.push(key);
    }
  })();
  for (const member of cluster.members) {
    const before = answered.length;
    await waitFor('writes', () => answered.length > before + 20);
    await cluster.kill(member);
    const killed = answered.length;
    await waitFor('writes without it', () => answered.length > killed + 20);
    cluster.startMember(member);
    await cluster.ready([member]);
  }
  isOver = true;
  await writing;
  assert.equal(leadership.lost.aborted, false);
  const stored = new Set((await store.list('n/')).entries.map(({ key }) => key));
  assert.deepEqual(
    answered.filter((key) => !stored.has(key)),
    [],
  );
  await leadership.resign();
});

test('a copy that follows a frozen member goes on with another', async () => {
  const cluster = await startCluster(3);
  const store = await openOn(cluster);
  const mirror = await mirrorOf(store);
  const frozen = memberOf(cluster, first);
  const others = cluster.endpoints.filter((url) => url !== frozen.clientUrl);
  const other = await openOn(cluster, others);
  cluster.signal(frozen, 'SIGSTOP');
  await waitFor('a write by another way', () =>
    put(other, 'k/news').then(
      () => true,
      () => false,
    ),
  );
  await waitFor('the news in the copy', () => mirror.get('k/news') !== undefined);
  assert.notEqual(store.status().endpoints[0], frozen.clientUrl);
});

test('a member that is not there is passed over, also by a write', async () => {
  const cluster = await startCluster(1);
  const member = memberOf(cluster, first);
  const { clientUrl: nobody } = await cluster.name('nobody');
  const store = await openOn(cluster, [nobody, member.clientUrl]);
  const { ok } = await put(store, 'k/a');
  assert.deepEqual([ok, store.status().endpoints[0]], [true, member.clientUrl]);
});

/** A way to a member that can lose answers: the request arrives, the connection breaks. */
async function lossyWay(member: EtcdMember) {
  const { port } = new URL(member.clientUrl);
  const way = { losesAnswers: false, url: '', close: () => server.close() };
  const server = createServer((socket: Socket) => {
    const onward = connect(Number(port), '127.0.0.1');
    const end = () => {
      socket.destroy();
      onward.destroy();
    };
    socket.on('error', end).on('close', end).pipe(onward);
    onward.on('error', end).on('close', end);
    onward.on('data', (chunk) => (way.losesAnswers ? end() : socket.write(chunk)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  way.url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  return way;
}

test('a commit whose answer was lost is unknown, and is not sent again; a read is', async () => {
  const cluster = await startCluster(1);
  const member = memberOf(cluster, first);
  const way = await lossyWay(member);
  const store = await openOn(cluster, [way.url, member.clientUrl]);
  await put(store, 'k/known');
  way.losesAnswers = true;
  await assert.rejects(put(store, 'k/unknown', 'once'), (error) => {
    // What the client of a remote store says in the same place.
    assert.ok(hasCode(error, 'core.unreachable'), `${error}`);
    return toAppError(error).retry;
  });
  const entry = await store.get('k/unknown');
  assert.equal(entry?.value, 'once', 'this one had been committed');
  assert.equal(entry.createRevision, entry.modRevision, 'it was sent twice');

  const reader = await cluster.open({ endpoints: [member.clientUrl] });
  stores.push(reader);
  reader.client.setEndpoints([way.url, member.clientUrl]);
  assert.equal((await reader.get('k/known'))?.value, 1);
  assert.equal(reader.status().endpoints[0], member.clientUrl);
  way.close();
});
