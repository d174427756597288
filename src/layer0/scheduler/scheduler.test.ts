// The scheduler on the memory store: what is written comes true, and what cannot be is explained.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { seededRandom } from '#core/random';
import type { Host } from '#layer0/host/wire';
import type { Store, WatchOptions } from '#layer0/store/client';
import { createMemoryStore } from '#layer0/store/fake';
import { createSchedulerClient, hasEnded } from './client.ts';
import { aFormation, aHost, aProcess, aSpec, aStatus, gigabyte } from './fake.ts';
import { createScheduler } from './index.ts';
import { hostIdTag, type Job } from './wire.ts';

async function aCluster(t: TestContext, hosts: Host[] = [aHost()]) {
  const clock = new FakeClock();
  const random = seededRandom(1);
  const store = createMemoryStore({ clock, random });
  let jobs = 0;
  const newJobId = () => `job-${++jobs}`;
  const lateNews = { ms: 0 };
  const deps = { store: hearing(store, clock, lateNews), clock, random, log: silentLog };
  const scheduler = createScheduler({ ...deps, identity: 'h1', newJobId });
  const client = createSchedulerClient({ store, clock, newJobId });
  const put = (key: string, value: unknown) =>
    store.txn({ compare: [], operations: [{ put: key, value }] });
  for (const host of hosts) {
    await put(`hosts/${host.id}`, host);
    await put(`host/alive/${host.id}`, {});
  }
  await scheduler.start();
  t.after(async () => {
    await scheduler.stop();
    await store.close();
  });
  const readJobs = async () =>
    (await store.list<Job>('scheduler/jobs/')).entries.map(({ value }) => value);
  return { clock, store, scheduler, client, put, readJobs, deps, lateNews };
}

/** The same store, where what hosts say is heard late. */
function hearing(store: Store, clock: FakeClock, late: { ms: number }): Store {
  const watch: Store['watch'] = async function* <T>(prefix: string, options: WatchOptions) {
    for await (const batch of store.watch<T>(prefix, options)) {
      if (prefix === 'host' && late.ms > 0) await clock.sleep(late.ms);
      yield batch;
    }
  };
  return new Proxy(store, {
    get: (of, name: keyof Store) => (name === 'watch' ? watch : of[name].bind(of)),
  });
}

test('a daemon that comes back from a crash leads again at once, and no other daemon does', async (t) => {
  const { clock, deps } = await aCluster(t);
  await clock.advance(100);
  const leads = async (identity: string) => {
    const next = createScheduler({ ...deps, identity });
    await next.start();
    t.after(() => next.stop());
    await clock.advance(100);
    return next.report().schedulers.map(({ isLeader }) => isLeader);
  };
  assert.deepEqual(await leads('h1'), [true, true]);
  assert.deepEqual(await leads('h2'), [false, false]);
});

test('a formation becomes placed jobs, numbered from 1', async (t) => {
  const { clock, client, readJobs } = await aCluster(t);
  await client.putFormation(aFormation({ processes: { web: aProcess({ quantity: 3 }) } }));
  await clock.advance(100);
  const jobs = await readJobs();
  assert.deepEqual(jobs.map(({ index, host }) => `${index} ${host}`).sort(), [
    '1 h1',
    '2 h1',
    '3 h1',
  ]);
});

test('scaling down stops the surplus, and its records go once the host says down', async (t) => {
  const { clock, client, put, readJobs } = await aCluster(t);
  await client.putFormation(aFormation({ processes: { web: aProcess({ quantity: 2 }) } }));
  await clock.advance(100);
  await client.putFormation(aFormation());
  await clock.advance(100);
  const stopped = (await readJobs()).find(({ desired }) => desired === 'down');
  assert.equal(stopped?.index, 2);
  await put(`host/status/${stopped.id}`, aStatus({ jobId: stopped.id, state: 'down' }));
  await clock.advance(100);
  assert.deepEqual(
    (await readJobs()).map(({ index }) => index),
    [1],
  );
});

test('a job that became healthy unseen is not the one that is stopped', async (t) => {
  const { clock, client, put, readJobs, lateNews } = await aCluster(t);
  await client.putFormation(aFormation({ processes: { web: aProcess({ quantity: 2 }) } }));
  await clock.advance(100);
  const [older, newer] = (await readJobs()).sort((a, b) => a.index - b.index);
  const say = (job: Job | undefined, isHealthy: boolean) =>
    put(`host/status/${job?.id}`, aStatus({ jobId: job?.id ?? '', isHealthy }));
  await say(older, false);
  await say(newer, false);
  await clock.advance(100);
  lateNews.ms = 5000;
  await say(newer, true);
  await client.putFormation(aFormation());
  await clock.advance(20_000);
  const stopped = (await readJobs()).filter(({ desired }) => desired === 'down');
  assert.deepEqual(
    stopped.map(({ id }) => id),
    [older?.id],
  );
});

test('a job larger than every host waits, says why, and is placed when a larger host joins', async (t) => {
  const { clock, client, put, readJobs, scheduler } = await aCluster(t);
  const spec = aSpec({ resources: { memoryBytes: 8 * gigabyte, cpuMillis: 100, pids: 10 } });
  await client.putFormation(aFormation({ processes: { web: aProcess({ spec }) } }));
  await clock.advance(100);
  const [waiting] = await readJobs();
  assert.equal(waiting?.pendingReason, 'not enough memory: needs 8 GB, 4 GB free on h1');
  assert.equal(scheduler.report().pending.length, 1);
  await put('hosts/h2', aHost({ id: 'h2', memoryBytes: 16 * gigabyte }));
  await put('host/alive/h2', {});
  await clock.advance(100);
  const [placed] = await readJobs();
  assert.equal(placed?.host, 'h2');
  assert.equal(placed.pendingReason, undefined);
});

test('a priority that is given while all wait decides who gets the next place', async (t) => {
  const { clock, client, put, readJobs } = await aCluster(t);
  const spec = aSpec({ resources: { memoryBytes: 8 * gigabyte, cpuMillis: 100, pids: 10 } });
  const [first, second] = ['first', 'second'].map((name) =>
    aFormation({ app: `app-${name}`, appName: name, processes: { web: aProcess({ spec }) } }),
  );
  assert.ok(first && second);
  await client.putFormation(first);
  await clock.advance(100);
  await client.putFormation(second);
  await clock.advance(100);
  await client.putFormation({ ...second, priority: 100 });
  await clock.advance(100);
  await put('hosts/h2', aHost({ id: 'h2', memoryBytes: 10 * gigabyte }));
  await put('host/alive/h2', {});
  await clock.advance(100);
  const placed = (await readJobs()).filter(({ host }) => host !== undefined);
  assert.deepEqual(
    placed.map(({ appName, priority }) => [appName, priority]),
    [['second', 100]],
  );
});

const oneOff = {
  app: 'app-shop',
  appName: 'shop',
  release: 'rel-1',
  releaseVersion: 1,
  type: 'run',
};

test('one-off jobs get the next number of their app, a place, and someone who waits for their end', async (t) => {
  const { clock, client, put, readJobs } = await aCluster(t);
  const spec = aSpec({ restart: 'never' });
  const first = await client.runEphemeral({ ...oneOff, spec });
  const second = await client.runEphemeral({ ...oneOff, spec });
  await clock.advance(100);
  const jobs = await readJobs();
  assert.deepEqual(jobs.map(({ id, index, host }) => [id, index, host]).sort(), [
    [first, 1, 'h1'],
    [second, 2, 'h1'],
  ]);
  const ended = client.waitForJob(first, hasEnded, AbortSignal.timeout(10_000));
  await put(`host/status/${first}`, aStatus({ jobId: first, state: 'failed', exitCode: 3 }));
  assert.equal((await ended)?.status?.exitCode, 3);
});

test('who asks for one-offs on a host gets them there and nowhere else', async (t) => {
  const { clock, store, readJobs } = await aCluster(t, [aHost(), { ...aHost(), id: 'h2' }]);
  const client = createSchedulerClient({ store, clock });
  const constraints = [{ tag: hostIdTag, operator: 'in' as const, values: ['h2'] }];
  for (let job = 0; job < 4; job++)
    await client.runEphemeral({ ...oneOff, spec: aSpec(), rules: { constraints } });
  await clock.advance(100);
  assert.deepEqual(
    (await readJobs()).map(({ host }) => host),
    ['h2', 'h2', 'h2', 'h2'],
  );
});

test('a one-off job that is stopped before it has a place is gone, and whoever waits is told', async (t) => {
  const { clock, client } = await aCluster(t, []);
  const id = await client.runEphemeral({ ...oneOff, spec: aSpec() });
  await clock.advance(100);
  assert.equal((await client.readJob(id))?.job.pendingReason, 'there is no host yet');
  const ended = client.waitForJob(id, hasEnded, AbortSignal.timeout(10_000));
  await client.stopJob(id);
  await clock.advance(100);
  assert.equal(await ended, undefined);
  await assert.rejects(client.stopJob(id), { code: 'scheduler.jobNotFound' });
});

test('the record of a one-off job goes an hour after its end', async (t) => {
  const { clock, client, put, readJobs } = await aCluster(t);
  const id = await client.runEphemeral({ ...oneOff, spec: aSpec({ restart: 'never' }) });
  await clock.advance(100);
  const endedAt = clock.now();
  await put(`host/status/${id}`, aStatus({ jobId: id, state: 'down', endedAt }));
  await clock.advance(3_590_000);
  assert.equal((await readJobs()).length, 1);
  await clock.advance(20_000);
  assert.equal((await readJobs()).length, 0);
});

test('commits, conflicts, the leader and what waits are figures for Prometheus', async (t) => {
  const { clock, scheduler, client } = await aCluster(t);
  const tooLarge = aSpec({ resources: { memoryBytes: 64 * gigabyte, cpuMillis: 100, pids: 1 } });
  await client.putFormation(
    aFormation({ processes: { web: aProcess({ quantity: 2, spec: tooLarge }) } }),
  );
  await clock.advance(1000);
  const { schedulers } = scheduler.report();
  const told = new Set(scheduler.metrics().split('\n'));
  for (const { name, commits, conflicts, steps } of schedulers)
    for (const line of [
      `gantry_scheduler_commits_total{scheduler="${name}"} ${commits}`,
      `gantry_scheduler_conflicts_total{scheduler="${name}"} ${conflicts}`,
      `gantry_scheduler_steps_total{scheduler="${name}"} ${steps}`,
      `gantry_scheduler_leads{scheduler="${name}"} 1`,
      `gantry_scheduler_pending_jobs{scheduler="${name}"} ${name === 'service' ? 2 : 0}`,
      '# TYPE gantry_scheduler_conflicts_total counter',
    ])
      assert.ok(told.has(line), `${line} is missing`);
  assert.ok((schedulers[0]?.commits ?? 0) > 0);
});
