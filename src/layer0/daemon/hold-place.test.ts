// What is known of a machine outlives the leases of a daemon that is being replaced, and of no other machine.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { instanceKey } from '#layer0/discovery/wire';
import { hostAliveKey } from '#layer0/host/wire';
import { listAll } from '#layer0/store/client';
import { createMemoryStore } from '#layer0/store/fake';
import { holdPlace } from './hold-place.ts';

test('what is known of a machine stays while its daemon is replaced for longer than a lease', async () => {
  const clock = new FakeClock();
  const store = createMemoryStore({ clock });
  const { id: lease } = await store.grantLease(10_000);
  const instance = (host: string, index: number) => ({
    put: instanceKey('web.shop', `job-${host}-${index}`),
    value: { host },
    lease,
  });
  const operations = ['here', 'there'].flatMap((host) => [
    { put: hostAliveKey(host), value: { bootId: host }, lease },
    ...Array.from({ length: 40 }, (_, index) => instance(host, index)),
  ]);
  await store.txn({ compare: [], operations });
  await holdPlace(store, 'here');
  const left = async () => (await listAll(store, '')).map(({ key }) => key);
  await clock.advance(30_000);
  const there = await left();
  assert.equal(there.length, 41);
  assert.ok(there.every((key) => key.includes('here')));
  await clock.advance(60_000);
  assert.deepEqual(await left(), [], 'a daemon that never comes is missed in the end');
  await store.close();
});

test('nothing is written for a machine of which nothing is known', async () => {
  const store = createMemoryStore();
  const before = await store.list('');
  await holdPlace(store, 'here');
  assert.deepEqual((await store.list('')).revision, before.revision);
  await store.close();
});
