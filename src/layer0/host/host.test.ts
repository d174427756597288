// One host, everything scripted: what a job goes through from its record to its end.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { aJob, createWorld, testHostId, type World } from './fake.ts';
import { hostAliveKey, hostKey } from './wire.ts';

describe('a host', () => {
  let world: World;
  beforeEach(() => {
    world = createWorld();
  });
  afterEach(() => world.close());

  it('makes itself known with a lease and as an instance of service host', async () => {
    await world.boot();
    await world.until('the record', async () => !!(await world.store.get(hostKey(testHostId))));
    const alive = await world.store.get(hostAliveKey(testHostId));
    assert.ok(alive?.lease, 'the alive key has a lease');
    await world.until('the instance', () => world.discovery.instances('host').length === 1);
  });

  it('brings a job up: address, container, health, discovery, status', async () => {
    const job = aJob();
    await world.boot();
    await world.put(job);
    const status = await world.untilState(job, 'up');
    assert.equal(status.isHealthy, true);
    assert.equal(status.attempt, 1);
    assert.deepEqual(status.ports, { http: 8080 });
    assert.equal(status.address, world.network.held.get(job.id));
    const [instance] = world.discovery.instances('web.shop');
    assert.equal(instance?.job, job.id);
    assert.equal(instance?.id, '1.web.shop');
    const [container] = await world.containers(job);
    assert.equal(container?.name, 'gantry-shop-web-1-00aaaa-1');
  });

  it('adopts what runs after its own restart: same container, same start, same attempt', async () => {
    const job = aJob();
    await world.boot();
    await world.put(job);
    const before = await world.untilState(job, 'up');
    await world.halt();
    await world.clock.advance(5_000);
    await world.boot();
    await world.clock.advance(5_000);
    const after = await world.untilState(job, 'up');
    assert.equal(after.containerId, before.containerId);
    assert.equal(after.startedAt, before.startedAt);
    assert.equal(after.attempt, 1);
    assert.equal((await world.containers(job)).length, 1);
    assert.equal(world.discovery.instances('web.shop').length, 1);
  });

  it('starts a singleton again although no record of a job changes any more', async () => {
    const job = aJob({ isSingleton: true });
    await world.put(job);
    await world.boot();
    const first = await world.untilState(job, 'up');
    await world.halt();
    world.runtime.exit(first.containerId ?? '', 1);
    await world.boot();
    await world.until('its second attempt', async () => {
      const status = await world.status(job);
      return status?.attempt === 2 && status.state === 'up';
    });
  });

  it('drains, signals, gives the address back and says down', async () => {
    const job = aJob();
    await world.boot();
    await world.put(job);
    await world.untilState(job, 'up');
    await world.put({ ...job, desired: 'down' });
    const status = await world.untilState(job, 'down');
    assert.equal(status.exitCode, 143);
    assert.equal(world.network.held.size, 0);
    assert.equal(world.discovery.instances('web.shop').length, 0);
  });
});
