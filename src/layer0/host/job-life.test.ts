// Ends, restarts, refusals and absences: what a job's status says and what is left alone.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { coreErrors } from '#core/errors';
import { jobKey } from '#layer0/scheduler/wire';
import type { Store, Txn } from '#layer0/store/client';
import { createMemoryStore } from '#layer0/store/fake';
import { keepDeadMs } from './config.ts';
import { aJob, createWorld, type World } from './fake.ts';
import { createSeal } from './seal.ts';
import { hostAliveKey, type JobStatus, statusPrefix } from './wire.ts';

describe('the life of a job', () => {
  let world: World;
  beforeEach(async () => {
    world = createWorld();
    await world.boot();
  });
  afterEach(() => world.close());

  it('restarts at once, then backs off and says so', async () => {
    const job = aJob({ behaves: { runForMs: 50, exitCode: 1 } });
    await world.put(job);
    await world.until('attempt 4', async () => ((await world.status(job))?.attempt ?? 0) >= 4);
    const status = await world.untilState(job, 'failed');
    assert.equal(status.exitCode, 1);
    assert.match(status.reason ?? '', /^exit 1; restart 4 in 4 s$/);
    assert.ok((await world.containers(job)).length <= 5);
  });

  it('shows every failure to those who watch, also one that is followed at once', async () => {
    const seen: string[] = [];
    const { revision: from } = await world.store.list(statusPrefix);
    const end = new AbortController();
    const watching = (async () => {
      const watch = world.store.watch<JobStatus>(statusPrefix, { from, signal: end.signal });
      for await (const { events } of watch)
        for (const { entry } of events) seen.push(`${entry.value.attempt} ${entry.value.state}`);
    })();
    await world.put(aJob({ behaves: { runForMs: 50, exitCode: 1 } }));
    await world.until('the second failure', () => seen.includes('2 failed'));
    assert.ok(seen.includes('1 failed'), seen.join(', '));
    end.abort();
    await watching;
  });

  it('keeps at most a few dead containers of a crash loop', async () => {
    const job = aJob({ behaves: { runForMs: 50, exitCode: 1 } });
    await world.put(job);
    await world.until(
      'attempt 8',
      async () => ((await world.status(job))?.attempt ?? 0) >= 8,
      400_000,
    );
    assert.ok((await world.containers(job)).length <= 5);
  });

  it('says that the memory limit ended it', async () => {
    const job = aJob({
      behaves: { runForMs: 50, isOutOfMemory: true },
      spec: { restart: 'never' },
    });
    await world.put(job);
    const status = await world.untilState(job, 'failed');
    assert.equal(status.isOutOfMemory, true);
    assert.match(status.reason ?? '', /out of memory \(limit 64 MiB\)/);
  });

  it('ends a one-off with its exit code and does not run it again after a restart', async () => {
    const job = aJob({ kind: 'ephemeral', behaves: { runForMs: 50 }, spec: { restart: 'never' } });
    await world.put(job);
    assert.equal((await world.untilState(job, 'down')).exitCode, 0);
    await world.halt();
    await world.boot();
    await world.clock.advance(700_000);
    assert.equal((await world.status(job))?.attempt, 1);
    assert.equal((await world.containers(job)).length, 0, 'its container was collected');
  });

  it('fails an attempt that never gets healthy, with the reason', async () => {
    const job = aJob({ behaves: { neverHealthy: true }, spec: { restart: 'never' } });
    await world.put(job);
    const status = await world.untilState(job, 'failed');
    assert.match(status.reason ?? '', /^not healthy on port 8080 within 60 s: connection refused/);
    assert.equal(world.discovery.instances('web.shop').length, 0);
  });

  it('refuses the machine to all but the system app', async () => {
    const job = aJob({ spec: { network: 'host' } });
    await world.put(job);
    const status = await world.untilState(job, 'failed');
    assert.equal(status.reason, 'only the system app may use the host network');
    assert.equal((await world.containers(job)).length, 0);
  });

  it('names the config value that does not open, and not what is in it', async () => {
    const sealed = createSeal(Buffer.alloc(32, 7)).seal('app-other/TOKEN', 'hunter2');
    const job = aJob({ spec: { sealedEnv: { TOKEN: sealed }, restart: 'never' } });
    await world.put(job);
    const { reason = '' } = await world.untilState(job, 'failed');
    assert.match(reason, /host\.sealBroken: the config value TOKEN/);
    assert.doesNotMatch(reason, /hunter2/);
  });

  it('gives a system process a loopback port, and knows it after a restart', async () => {
    const ports = [{ name: 'http', port: 0, protocol: 'tcp' as const }];
    const job = aJob({ app: 'app-gantry', spec: { network: 'host', ports } });
    await world.put(job);
    const before = await world.untilState(job, 'up');
    assert.ok((before.ports.http ?? 0) >= 21_000);
    assert.equal(before.address, '127.0.0.1');
    await world.halt();
    await world.boot();
    await world.clock.advance(3_000);
    const after = await world.untilState(job, 'up');
    assert.deepEqual(after.ports, before.ports);
    assert.equal(world.discovery.instances('web.shop')[0]?.port, before.ports.http);
  });

  it('waits for a router that is busy with it, and no longer than drainMs', async () => {
    const job = aJob();
    await world.put(job);
    await world.untilState(job, 'up');
    const router = world.discovery.consume('router-1');
    const busyAt = async (busy: string[]) => {
      const applied = world.discovery.directory()?.revision;
      if (applied) await Promise.all([router.report({ applied, busy }), world.clock.advance(100)]);
    };
    await busyAt([job.id]);
    await world.put({ ...job, desired: 'down' });
    await world.clock.advance(10_000);
    assert.equal((await world.status(job))?.state, 'stopping');
    assert.equal((await world.containers(job))[0]?.state, 'running');
    await busyAt([]);
    await world.untilState(job, 'down', 5_000);
  });

  it('waits 5 s for a router whose machine is lost, and not all of drainMs', async () => {
    const job = aJob();
    await world.put(job);
    await world.untilState(job, 'up');
    const router = world.discovery.consume('router/host-2', 'host-2');
    const applied = world.discovery.directory()?.revision;
    assert.ok(applied);
    await Promise.all([router.report({ applied, busy: [job.id] }), world.clock.advance(100)]);
    const lease = await world.store.grantLease(10_000);
    const alive = { put: hostAliveKey('host-2'), value: {}, lease: lease.id };
    await world.store.txn({ compare: [], operations: [alive] });
    await world.clock.advance(9_000);
    await world.put({ ...job, desired: 'down' });
    await world.clock.advance(20_000);
    assert.equal((await world.containers(job))[0]?.state, 'running', 'not lost yet');
    await world.untilState(job, 'down', 7_000);
    const second = aJob({ id: 'job-000000000000bbbb', index: 2 });
    await world.put(second);
    await world.untilState(second, 'up');
    await world.put({ ...second, desired: 'down' });
    await world.clock.advance(4_000);
    assert.equal((await world.containers(second))[0]?.state, 'running', 'it may be back');
    await world.untilState(second, 'down', 2_000);
  });

  it('leaves alone what a restored store does not know', async () => {
    const job = aJob();
    await world.put(job);
    await world.untilState(job, 'up');
    await world.halt();
    const restored = createWorld({ seed: 2 });
    await restored.boot({ runtime: world.runtime, network: world.network });
    await restored.clock.advance(1_000_000);
    const [container] = await world.containers(job);
    assert.equal(container?.state, 'running');
    const { unknownContainers } = restored.host.status();
    assert.deepEqual(unknownContainers, { count: 1, names: [container.name] });
    await restored.close();
  });

  it('lists nobody who has ended, also where only an earlier store knew the job', async () => {
    const job = aJob();
    const switched = aSwitch(world.store, createMemoryStore({ clock: world.clock }));
    await world.halt();
    await world.boot({ store: switched.store });
    await world.put(job);
    await world.untilState(job, 'up');
    await world.until('it is listed', () => world.discovery.instances('web.shop').length === 1);
    await switched.turn();
    await world.clock.advance(30_000);
    const [container] = await world.containers(job);
    assert.equal(container?.state, 'running');
    world.runtime.exit(container.id, 1);
    await world.until('it is no longer listed', async () => {
      const instances = await switched.now().list('discovery/instances/web.shop/');
      return instances.entries.length === 0;
    });
  });

  it('takes back a registration whose answer was lost', async () => {
    const job = aJob();
    await world.halt();
    const store = new Proxy(world.store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        if (name !== 'txn') return value.bind(target);
        return async (txn: Txn) => {
          const result = await target.txn(txn);
          const isInstance = txn.operations.some((one) => 'put' in one && one.put.includes(job.id));
          if (
            isInstance &&
            txn.operations.every((one) => 'put' in one && one.put.startsWith('discovery/'))
          )
            throw coreErrors.timeout('no answer');
          return result;
        };
      },
    });
    await world.boot({ store });
    await world.put(job);
    const isListed = async () =>
      (await world.store.list('discovery/instances/web.shop/')).entries.length > 0;
    await world.until('it is listed', isListed);
    await world.put({ ...job, desired: 'down' });
    await world.untilState(job, 'down');
    await world.clock.advance(30_000);
    assert.equal(await isListed(), false);
  });

  it('keeps the address of what runs, also where only an earlier store knew the job', async () => {
    const job = aJob();
    const switched = aSwitch(world.store, createMemoryStore({ clock: world.clock }));
    await world.halt();
    await world.boot({ store: switched.store });
    await world.put(job);
    await world.untilState(job, 'up');
    const address = world.network.held.get(job.id);
    world.network.held.clear();
    await switched.turn();
    await world.until('it is held again', () => world.network.held.get(job.id) === address);
    await world.clock.advance(120_000);
    assert.equal(world.network.held.get(job.id), address);
    world.runtime.exit((await world.containers(job))[0]?.id ?? '', 1);
    await world.until('it is free', () => world.network.held.size === 0, 120_000);
  });

  it('gives back an address that no job has', async () => {
    world.network.held.set('job-000000000000gone', '10.9.0.99');
    await world.until(
      'the address of nobody is free',
      () => !world.network.held.has('job-000000000000gone'),
      120_000,
    );
  });

  it('frees an address again that a restored store says is held', async () => {
    const job = aJob();
    const restored = createMemoryStore({ clock: world.clock });
    const switched = aSwitch(world.store, restored);
    await world.halt();
    await world.boot({ store: switched.store });
    await world.put(job);
    await world.untilState(job, 'up');
    const address = world.network.held.get(job.id) ?? '';
    await world.put({ ...job, desired: 'down' });
    await world.untilState(job, 'down');
    await world.until('its address is free', () => !world.network.held.has(job.id));
    // The backup is of a moment when it was to stop.
    const value = { ...job, desired: 'down' };
    await restored.txn({ compare: [], operations: [{ put: jobKey(job.id), value }] });
    world.network.held.set(job.id, address);
    await switched.turn();
    await world.until('its address is free again', () => !world.network.held.has(job.id));
  });

  it('collects what a restored store does not know only when it has ended by itself', async () => {
    const job = aJob();
    await world.put(job);
    await world.untilState(job, 'up');
    await world.store.replaceAll([], []);
    await world.clock.advance(2 * keepDeadMs);
    const [container] = await world.containers(job);
    assert.equal(container?.state, 'running');
    world.runtime.exit(container.id, 0);
    await world.clock.advance(keepDeadMs / 2);
    assert.equal((await world.containers(job)).length, 1, 'its log can be read for a while');
    await world.clock.advance(keepDeadMs);
    assert.deepEqual(await world.containers(job), []);
    assert.ok(!world.network.held.has(job.id), 'its address is free');
  });

  it('frees the address of what somebody removed that a restored store does not know', async () => {
    const job = aJob();
    await world.put(job);
    await world.untilState(job, 'up');
    await world.store.replaceAll([], []);
    await world.clock.advance(60_000);
    assert.ok(world.network.held.has(job.id), 'it runs and needs it');
    const [container] = await world.containers(job);
    await world.runtime.remove(container?.id ?? '');
    await world.until('its address is free', () => !world.network.held.has(job.id));
  });

  it('ends what was deleted while nobody watched, in the same incarnation', async () => {
    const job = aJob();
    await world.put(job);
    await world.untilState(job, 'up');
    await world.halt();
    await world.drop(job);
    await world.boot();
    await world.until('it has ended', async () =>
      (await world.containers(job)).every(({ state }) => state === 'exited'),
    );
  });

  it('starts at most two per core at once', async () => {
    const jobs = Array.from({ length: 12 }, (_, index) =>
      aJob({ id: `job-0000000000000${index + 100}`, index: index + 1, behaves: { startMs: 500 } }),
    );
    let most = 0;
    await world.put(...jobs);
    const isUp = async () => {
      const { starts } = world.host.status() as { starts: { running: number } };
      most = Math.max(most, starts.running);
      const states = await Promise.all(jobs.map((job) => world.status(job)));
      return states.every((status) => status?.state === 'up');
    };
    await world.until('all are up', isUp);
    assert.equal(most, 4);
  });

  it('keeps a job up while engine and store are away, without a word of another state', async () => {
    const job = aJob();
    await world.put(job);
    const before = await world.untilState(job, 'up');
    world.outage.store = true;
    world.runtime.crash();
    await world.clock.advance(30_000);
    world.outage.store = false;
    world.runtime.restart();
    await world.clock.advance(30_000);
    const after = await world.untilState(job, 'up');
    assert.deepEqual([after.attempt, after.containerId], [1, before.containerId]);
  });
});

/** One store until the turn, then the other: what a restore is to whoever uses it. */
function aSwitch(first: Store, second: Store) {
  let now = first;
  return {
    store: new Proxy(first, {
      get: (_, name) => {
        const value: unknown = Reflect.get(now, name);
        return typeof value === 'function' ? value.bind(now) : value;
      },
    }),
    now: () => now,
    async turn() {
      now = second;
      await first.close();
    },
  };
}
