// Is a job's time of health what the leader saw of it, without a break?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import type { SeenJob } from './decide/app-view.ts';
import { aSeenJob as aJob } from './fake.ts';
import { Steadiness } from './steadiness.ts';

function aLeader() {
  const clock = new FakeClock();
  const steadiness = new Steadiness(clock);
  const look = (change: Partial<SeenJob> = {}, app = 'app-1') =>
    steadiness.measure(app, [aJob(change)])[0]?.healthyForMs;
  return { clock, steadiness, look };
}

test('the time counts from the first look at a healthy job, whatever the wall clock says', async () => {
  const { clock, look } = aLeader();
  assert.equal(look(), 0);
  await clock.advance(700);
  clock.setWall(3_600_000);
  assert.equal(look(), 700);
});

test('a job that is not up and healthy has no time, and begins anew', async () => {
  const { clock, look } = aLeader();
  look();
  await clock.advance(700);
  assert.equal(look({ isHealthy: false }), undefined);
  assert.equal(look({ state: 'starting' }), undefined);
  await clock.advance(700);
  assert.equal(look(), 0);
});

test('a restart between two looks begins anew', async () => {
  const { clock, look } = aLeader();
  look();
  await clock.advance(700);
  assert.equal(look({ attempt: 2 }), 0);
});

test('apps are counted apart, and forgotten', async () => {
  const { clock, steadiness, look } = aLeader();
  look();
  look({}, 'app-2');
  await clock.advance(700);
  steadiness.forgetAllBut(new Set(['app-1']));
  assert.equal(look(), 700);
  assert.equal(look({}, 'app-2'), 0);
});
