// Equal specs of a group are kept once; others are left as they are.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aJob, aSpec, aState } from './fake.ts';
import { jobKey } from './wire.ts';

test('jobs of a group share one spec as long as theirs is equal to it', () => {
  const state = aState({});
  const put = (id: string, spec = aSpec()) =>
    state.put({
      key: jobKey(id),
      value: aJob({ id, spec: structuredClone(spec) }),
      modRevision: 1,
    });
  const specOf = (id: string) => state.jobs.get(id)?.job.spec;
  put('job-1');
  put('job-2');
  put('job-3', aSpec({ env: { MODE: 'other' } }));
  assert.equal(specOf('job-1'), specOf('job-2'));
  assert.deepEqual(specOf('job-3'), aSpec({ env: { MODE: 'other' } }));
  for (const id of ['job-1', 'job-2', 'job-3']) state.delete(jobKey(id));
  put('job-4', aSpec({ env: { MODE: 'other' } }));
  put('job-5', aSpec({ env: { MODE: 'other' } }));
  assert.equal(specOf('job-4'), specOf('job-5'), 'nothing is left of those that are gone');
});

test('a record that changes keeps its spec', () => {
  const state = aState({ jobs: [{ host: 'h1' }, { host: 'h1' }] });
  const job = state.jobs.get('job-1')?.job;
  state.put({ key: jobKey('job-1'), value: { ...job, desired: 'down' }, modRevision: 9 });
  assert.deepEqual(state.jobs.get('job-1')?.job, { ...job, desired: 'down' });
  assert.equal(state.index.jobs[0], 2);
});
