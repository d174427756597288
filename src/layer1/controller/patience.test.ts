// Is a deployment's wait what its leader could know of it, and nothing else?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { Patience } from './patience.ts';
import type { Deployment } from './wire.ts';

const clock = () => new FakeClock(1_000_000);

function aDeployment(change: Partial<Deployment> = {}): Deployment {
  return {
    id: 'dep-1',
    app: 'app-1',
    newRelease: 'rel-1',
    newVersion: 1,
    strategy: 'one-by-one',
    batchSize: 2,
    state: 'running',
    createdAt: 0,
    progressAt: 400_000,
    ...change,
  };
}

/** How long the deployment has waited, as a decision would see it. */
function waitedMs(patience: Patience, now: FakeClock, deployment = aDeployment()): number {
  const [adjusted] = patience.adjust([deployment]);
  assert.ok(adjusted);
  return now.now() - adjusted.progressAt;
}

test('a time in which nobody led does not count: the wait begins when a leader first sees it', () => {
  const now = clock();
  assert.equal(waitedMs(new Patience(now), now), 0);
});

test('the wait goes on while no step is made, and begins anew with one', async () => {
  const now = clock();
  const patience = new Patience(now);
  waitedMs(patience, now);
  await now.advance(7_000);
  assert.equal(waitedMs(patience, now), 7_000);
  assert.equal(waitedMs(patience, now, aDeployment({ progressAt: now.now() })), 0);
});

test('a wall clock that is set makes no wait longer or shorter', async () => {
  const now = clock();
  const patience = new Patience(now);
  waitedMs(patience, now);
  await now.advance(5_000);
  for (const jump of [3_600_000, -7_200_000]) {
    now.setWall(jump);
    assert.equal(waitedMs(patience, now), 5_000);
  }
});

test('each deployment waits by itself, and only those that are unfinished are remembered', async () => {
  const now = clock();
  const patience = new Patience(now);
  const other = aDeployment({ id: 'dep-2' });
  waitedMs(patience, now);
  await now.advance(1_000);
  waitedMs(patience, now, other);
  await now.advance(1_000);
  assert.equal(waitedMs(patience, now, other), 1_000);
  patience.forgetAllBut(new Set(['dep-2']));
  assert.equal(waitedMs(patience, now), 0);
  assert.equal(waitedMs(patience, now, other), 1_000);
});

test('the deployment itself is left as it is', () => {
  const deployment = aDeployment();
  new Patience(clock()).adjust([deployment]);
  assert.deepEqual(deployment, aDeployment());
});
