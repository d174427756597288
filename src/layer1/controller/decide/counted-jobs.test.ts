// Of a job that moves and of its replacement, which one does a rollout count?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aFormation, aJob, aProcess } from '#layer0/scheduler/fake';
import { countedJobs } from './counted-jobs.ts';

const old = aJob({ id: 'old' });
const spare = aJob({ id: 'spare', index: 2, replaces: { job: 'old', because: 'drain' } });
const other = aJob({ id: 'other', index: 3 });

function counted(healthy: string[], { quantity = 1, jobs = [old, spare] } = {}): string[] {
  const formations = [aFormation({ processes: { web: aProcess({ quantity }) } })];
  const isHealthy = (job: string) => healthy.includes(job);
  return countedJobs({ jobs, formations, isHealthy }).map(({ id }) => id);
}

test('a replacement does not count beside what it replaces, whether that is healthy or neither is', () => {
  assert.deepEqual(counted(['old', 'spare']), ['old']);
  assert.deepEqual(counted(['old']), ['old']);
  assert.deepEqual(counted([]), ['old']);
});

test('a replacement that alone is healthy counts instead of what it replaces', () => {
  assert.deepEqual(counted(['spare']), ['spare']);
});

test('both count while fewer are there than are asked for, and one that is left counts', () => {
  assert.deepEqual(counted([], { quantity: 2 }), ['old', 'spare']);
  assert.deepEqual(counted([], { jobs: [{ ...old, desired: 'down' }, spare] }), ['old', 'spare']);
  assert.deepEqual(counted([], { jobs: [spare, other] }), ['spare', 'other']);
});

test('of two replacements for one job only as many are left out as there are too many', () => {
  const second = { ...spare, id: 'second' };
  const jobs = [old, spare, second];
  assert.deepEqual(counted(['second'], { jobs, quantity: 2 }), ['old', 'second']);
  assert.deepEqual(counted(['spare', 'second'], { jobs }), ['spare']);
});
