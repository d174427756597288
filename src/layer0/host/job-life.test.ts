// Ends, restarts, refusals and absences: what a job's status says and what is left alone.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { aJob, createWorld, type World } from './fake.ts';
import { createSeal } from './seal.ts';
import { type JobStatus, statusPrefix } from './wire.ts';

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
