// What a router that has died leaves behind for the drains.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '#core/config';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { seededRandom } from '#core/random';
import { createDiscovery } from '#layer0/discovery/client';
import { anInstance } from '#layer0/discovery/fake';
import { createMemoryStore } from '#layer0/store/fake';
import { createRouterDiscovery, routerSettings } from './index.ts';

test('a drain does not take the silence of a dead router for the end of its requests', async () => {
  const clock = new FakeClock();
  const parts = { clock, random: seededRandom(1), log: silentLog };
  const store = createMemoryStore(parts);
  const until = async (what: string, isDone: () => boolean) => {
    for (let turn = 0; turn < 1_000 && !isDone(); turn++) await clock.advance(10);
    assert.ok(isDone(), what);
  };
  const { awayMs } = readConfig(routerSettings, { GANTRY_HOST_ID: 'host-1', PORT: '0' });
  const host = createDiscovery({ store, ...parts });
  const router = createRouterDiscovery({ store, ...parts }, { awayMs, hostId: 'host-1' });
  const instance = anInstance(1);
  const ref = { service: instance.service, handle: instance.job ?? instance.id };
  void host.register(instance);
  await until('it is registered', () => router.instances(ref.service).length === 1);
  const applied = router.directory()?.revision;
  assert.ok(applied);
  void router.consume('router/host-1').report({ applied, busy: [] });
  await until('the router is known', () => host.consumers().length === 1);

  await router.abandon();
  await clock.advance(60_000);
  void host.update(ref, { state: 'draining' });
  await until('it is marked', () => host.instances(ref.service)[0]?.state === 'draining');
  assert.deepEqual(host.drainStatus(ref), {
    mayStop: false,
    waitsFor: ['router/host-1 still sends it requests'],
    isForLostOnly: false,
  });
  await clock.advance(awayMs);
  assert.equal(host.drainStatus(ref).mayStop, true, 'one that never comes back is given up');
  await host.abandon();
  await store.close();
});
