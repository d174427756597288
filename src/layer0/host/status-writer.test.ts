// Whose word on a job counts: only that of the host its record names, in the store that the record was read from.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coreErrors } from '#core/errors';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { seededRandom } from '#core/random';
import { type Job, jobKey, jobPrefix } from '#layer0/scheduler/wire';
import { createMirror } from '#layer0/store/client';
import { createMemoryStore } from '#layer0/store/fake';
import { aJob, testHostId } from './fake.ts';
import { StatusWriter } from './status-writer.ts';
import { type JobStatus, statusKey } from './wire.ts';

const job = aJob();

function aStatus(change: Partial<JobStatus> = {}): JobStatus {
  const about = { jobId: job.id, host: testHostId, attempt: 1, ports: {}, updatedAt: 0 };
  return { ...about, state: 'up', isHealthy: true, ...change };
}

async function aWriter() {
  const clock = new FakeClock();
  const deps = { clock, random: seededRandom(1), log: silentLog };
  const store = createMemoryStore(deps);
  const put = (record: Job) =>
    store.txn({ compare: [], operations: [{ put: jobKey(record.id), value: record }] });
  await put(job);
  const ending = new AbortController();
  const records = createMirror<Job>(store, jobPrefix, { ...deps, signal: ending.signal });
  await records.synced;
  const writer = new StatusWriter({ ...deps, store, records: () => records });
  writer.start();
  const settle = async () => {
    const deadline = performance.now() + 10_000;
    while (writer.waiting > 0 && performance.now() < deadline) await clock.advance(10);
    assert.equal(writer.waiting, 0, 'a status still waits');
    ending.abort();
    await writer.stop();
    return (await store.get<JobStatus>(statusKey(job.id)))?.value;
  };
  return { clock, store, writer, put, settle };
}

test('a status is written also when the record changes on the way', async () => {
  const { writer, put, settle } = await aWriter();
  // The writer has not seen this change yet.
  const changing = put({ ...job, desired: 'down' });
  writer.put(aStatus());
  await changing;
  assert.equal((await settle())?.state, 'up');
});

test('a status is written also when the store has moved on elsewhere since its record changed', async () => {
  const { store, writer, put, settle } = await aWriter();
  const { txn } = store;
  let isFirst = true;
  store.txn = async (call) => {
    if (isFirst && call.compare.length > 0) {
      isFirst = false;
      await put({ ...job, desired: 'down' });
      await txn.call(store, { compare: [], operations: [{ put: 'elsewhere', value: 1 }] });
    }
    return txn.call(store, call);
  };
  writer.put(aStatus());
  assert.equal((await settle())?.state, 'up');
});

test('a job that has moved to another host gets no word from this one', async () => {
  const { writer, put, settle } = await aWriter();
  await put({ ...job, host: 'host-other' });
  writer.put(aStatus());
  assert.equal(await settle(), undefined);
});

test('a job whose record is gone gets no status', async () => {
  const { store, writer, settle } = await aWriter();
  await store.txn({ compare: [], operations: [{ delete: jobKey(job.id) }] });
  writer.put(aStatus());
  assert.equal(await settle(), undefined);
});

test('what is written names the incarnation that the record was read in', async () => {
  const { store, writer, settle } = await aWriter();
  const { incarnation } = (await store.list('')).revision;
  const seen: unknown[] = [];
  const { txn } = store;
  store.txn = (call) => {
    seen.push(call.incarnation);
    return txn.call(store, call);
  };
  writer.put(aStatus());
  await settle();
  assert.deepEqual(seen, [incarnation]);
});

test('a status whose answer was lost and that arrives late does not land on the one that came after it', async () => {
  const { clock, store, writer, settle } = await aWriter();
  const { txn } = store;
  let late: (() => Promise<unknown>) | undefined;
  store.txn = async (call) => {
    if (late || call.operations.length === 0) return txn.call(store, call);
    late ??= () => txn.call(store, call);
    throw coreErrors.timeout('no answer');
  };
  writer.put(aStatus({ state: 'starting', isHealthy: false }));
  await clock.advance(100);
  writer.put(aStatus());
  assert.equal((await settle())?.state, 'up');
  await late?.();
  assert.equal((await store.get<JobStatus>(statusKey(job.id)))?.value.state, 'up');
});

test('a status follows one that an earlier life of the agent wrote', async () => {
  const { store, writer, settle } = await aWriter();
  const value = aStatus({ state: 'starting', isHealthy: false });
  await store.txn({ compare: [], operations: [{ put: statusKey(job.id), value }] });
  writer.put(aStatus());
  assert.equal((await settle())?.state, 'up');
});
