// The example of a scheduler of one's own, beside ours and on the same hosts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { seededRandom } from '#core/random';
import { createSchedulerClient } from '#layer0/scheduler/client';
import { aFormation, aHost, aProcess, aSpec, gigabyte } from '#layer0/scheduler/fake';
import { createScheduler } from '#layer0/scheduler/index';
import { type Job, jobPrefix } from '#layer0/scheduler/wire';
import { createMemoryStore } from '#layer0/store/fake';
import {
  choose,
  runCheapestFirst,
  schedulerName,
} from '../../examples/own-scheduler/cheapest-first.ts';

const prices = { h1: '3', h2: '1', h3: '2' };

test('a scheduler of its own places its jobs, ours place the others, and no host is promised twice', async (t) => {
  const clock = new FakeClock();
  const random = seededRandom(1);
  const store = createMemoryStore({ clock, random });
  const put = (key: string, value: unknown) =>
    store.txn({ compare: [], operations: [{ put: key, value }] });
  for (const [id, price] of Object.entries(prices)) {
    await put(`hosts/${id}`, aHost({ id, memoryBytes: 4 * gigabyte }));
    await put(`host/tags/${id}`, { price });
    await put(`host/alive/${id}`, {});
  }
  const scheduler = createScheduler({ store, clock, random, log: silentLog, identity: 'h1' });
  await scheduler.start();
  const stop = new AbortController();
  const own = runCheapestFirst(store, 'mine', stop.signal);
  t.after(async () => {
    stop.abort();
    await own.catch(() => undefined);
    await scheduler.stop();
    await store.close();
  });

  const spec = aSpec({ resources: { memoryBytes: gigabyte, cpuMillis: 100, pids: 10 } });
  const client = createSchedulerClient({ store, clock });
  const processes = {
    web: aProcess({ quantity: 6, spec }),
    batch: aProcess({ quantity: 5, spec, scheduler: schedulerName }),
  };
  await client.putFormation(aFormation({ processes }));
  const oneOff = { app: 'app-shop', appName: 'shop', release: 'rel-1', releaseVersion: 1 };
  const spec1 = { ...spec, restart: 'never' as const };
  await client.runEphemeral({ ...oneOff, type: 'run', spec: spec1, scheduler: schedulerName });
  await clock.advance(5000);

  const jobs = (await store.list<Job>(jobPrefix)).entries.map(({ value }) => value);
  const hostsOf = (wanted: (job: Job) => boolean) => jobs.filter(wanted).map(({ host }) => host);
  assert.equal(jobs.length, 12);
  assert.ok(!hostsOf(() => true).includes(undefined), 'all have a place');
  for (const id of Object.keys(prices))
    assert.equal(hostsOf(({ host }) => host === id).length, 4, `${id} is full and no fuller`);
});

test('ours leaves such a job alone and says whom it waits for', async (t) => {
  const clock = new FakeClock();
  const random = seededRandom(2);
  const store = createMemoryStore({ clock, random });
  const scheduler = createScheduler({ store, clock, random, log: silentLog, identity: 'h1' });
  await scheduler.start();
  t.after(async () => {
    await scheduler.stop();
    await store.close();
  });
  await store.txn({ compare: [], operations: [{ put: 'hosts/h1', value: aHost() }] });
  await store.txn({ compare: [], operations: [{ put: 'host/alive/h1', value: {} }] });
  const processes = { batch: aProcess({ scheduler: 'mine' }) };
  await createSchedulerClient({ store, clock }).putFormation(aFormation({ processes }));
  await clock.advance(1000);
  assert.deepEqual(
    scheduler.report().pending.map(({ reason }) => reason),
    ['waits for scheduler mine'],
  );
});

test('the cheapest host with room is chosen', () => {
  const { resources } = aSpec();
  const at = (id: string, price: number, memoryBytes: number) => ({
    host: aHost({ id }),
    price,
    free: { ...resources, memoryBytes },
  });
  const hosts = [at('h1', 3, gigabyte), at('h2', 1, 1024), at('h3', 2, gigabyte)];
  assert.equal(choose({ waiting: [], hosts }, { spec: aSpec() })?.id, 'h3');
});
