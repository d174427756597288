// What a host says about how busy it is, and how often.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { seededRandom } from '#core/random';
import { createMemoryStore } from '#layer0/store/fake';
import { createLoadMeter } from './load.ts';
import { HostRegistration, type RegistrationDeps } from './registration.ts';

const revision1 = { incarnation: 'inc-1', revision: 1 };
const idle = { idleMs: 0, busyMs: 0, freeBytes: 80, totalBytes: 100 };

test('busy is the larger of processor and memory, and a burst counts in part', () => {
  let now = idle;
  const meter = createLoadMeter(() => now);
  now = { ...now, idleMs: 100 };
  assert.equal(meter.busyPercent(), 20, 'memory');
  now = { ...now, busyMs: 100 };
  assert.equal(meter.busyPercent(), 30, 'three tenths of a burst');
  now = { ...now, freeBytes: 5 };
  assert.equal(meter.busyPercent(), 95);
});

/** One host in a store of its own. */
function aRegistration(says: Pick<RegistrationDeps, 'load' | 'silent'>) {
  const clock = new FakeClock();
  const random = seededRandom(1);
  const store = createMemoryStore({ clock, random });
  const info = { version: '1', apiVersion: '1', dataRoot: '/', memoryBytes: 1, cpus: 1 };
  const registration = new HostRegistration(
    {
      store,
      clock,
      random,
      log: silentLog,
      bootId: async () => 'boot-1',
      runtime: { info: async () => info },
      discovery: { register: async () => revision1, deregister: async () => undefined },
      ...says,
    },
    {
      hostId: 'h1',
      clusterId: 'c1',
      name: 'h1',
      address: '127.0.0.1',
      home: '/x',
      version: '1',
      portMin: 1,
      portMax: 2,
      memoryReserveBytes: 0,
      hostLeaseMs: 10_000,
    },
  );
  return { clock, store, registration };
}

test('a host says how busy it is when it has changed, not each time, and it goes with its lease', async (t) => {
  let busyPercent = 40;
  const { clock, store, registration } = aRegistration({
    load: { busyPercent: () => busyPercent },
  });
  t.after(() => store.close());
  const said = async () => (await store.get('host/load/h1'))?.value;
  const revisionOf = async () => (await store.get('host/load/h1'))?.modRevision;
  await registration.start();
  await clock.advance(60_000);
  assert.deepEqual(await said(), { busyPercent: 40 });
  const revision = await revisionOf();
  busyPercent = 45;
  await clock.advance(60_000);
  assert.equal(await revisionOf(), revision, 'a little more is not told');
  busyPercent = 80;
  await clock.advance(60_000);
  assert.deepEqual(await said(), { busyPercent: 80 });
  await registration.stop();
  await clock.advance(60_000);
  assert.equal(await said(), undefined);
});

test('a host says at once what it does not hear, once, and takes it back; it goes with its lease', async (t) => {
  let silent: string[] = [];
  const { clock, store, registration } = aRegistration({ silent: () => silent });
  t.after(() => store.close());
  const said = async () => await store.get('host/silent/h1');
  const hear = async (...hosts: string[]) => {
    silent = hosts;
    registration.tellSilence();
    await clock.advance(100);
  };
  await registration.start();
  await clock.advance(60_000);
  assert.equal(await said(), undefined, 'nothing to say');
  await hear('h3');
  const first = await said();
  assert.deepEqual(first?.value, { hosts: ['h3'] });
  await clock.advance(60_000);
  assert.equal((await said())?.modRevision, first?.modRevision);
  await hear();
  assert.equal(await said(), undefined);
  await hear('h2', 'h3');
  await registration.stop();
  await clock.advance(60_000);
  assert.equal(await said(), undefined);
});
