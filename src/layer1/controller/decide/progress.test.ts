// What does somebody who follows a rollout read?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Deployment } from '../wire.ts';
import type { SeenJob } from './app-view.ts';
import { type Progress, progressLines } from './progress.ts';

const deployment = { newRelease: 'rel-2', newVersion: 2, state: 'running' } as Deployment;
const waiting: SeenJob = {
  id: 'job-2',
  kind: 'service',
  release: 'rel-2',
  type: 'web',
  name: 'web.2',
  isWanted: true,
  state: 'pending',
  isHealthy: false,
  attempt: 1,
  reason: 'port 9000/tcp is taken on h1',
};
const withJobs = (...jobs: SeenJob[]): Progress => ({ deployment, jobs, wanted: { web: 1 } });

test('a new process that has no place says why, from the first look at it on, and once', () => {
  const line = 'web.2 waits: port 9000/tcp is taken on h1';
  assert.deepEqual(progressLines(withJobs(), withJobs(waiting)), [line]);
  assert.equal(progressLines(undefined, withJobs(waiting)).at(-1), line);
  assert.deepEqual(progressLines(withJobs(waiting), withJobs(waiting)), []);
  const placed = { ...waiting, state: 'up' as const, isHealthy: true };
  assert.deepEqual(progressLines(withJobs(waiting), withJobs(placed)), ['web.2 is up (1/1)']);
});
