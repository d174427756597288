// Does each caller get its rate and its burst, and no more?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from './fake-clock.ts';
import { RateLimit } from './rate-limit.ts';

const aLimit = (clock = new FakeClock()) => new RateLimit({ perSecond: 10, burst: 3 }, clock);

test('a burst goes through, what is beyond it is told how long to wait', () => {
  const limit = aLimit();
  assert.deepEqual(
    [1, 2, 3, 4].map(() => limit.take('ada')),
    [0, 0, 0, 100],
  );
  assert.equal(limit.take('grace'), 0, 'others have their own');
});

test('the bucket fills at its rate, and never above the burst', async () => {
  const clock = new FakeClock();
  const limit = aLimit(clock);
  for (let call = 0; call < 3; call++) limit.take('ada');
  await clock.advance(100);
  assert.deepEqual([limit.take('ada'), limit.take('ada')], [0, 100]);
  await clock.advance(3_600_000);
  assert.deepEqual(
    [1, 2, 3, 4].map(() => limit.take('ada')),
    [0, 0, 0, 100],
  );
});

test('a refused call and a look cost nothing', async () => {
  const clock = new FakeClock();
  const limit = aLimit(clock);
  for (let call = 0; call < 50; call++) limit.take('ada');
  assert.equal(limit.waitMs('ada'), 100);
  await clock.advance(100);
  assert.equal(limit.waitMs('ada'), 0);
  assert.equal(limit.take('ada'), 0);
});

test('a call may cost more than one; one above the burst waits for a full bucket, not for ever', () => {
  const limit = aLimit();
  assert.equal(limit.take('ada', 2), 0);
  assert.equal(limit.take('ada', 2), 100);
  assert.equal(limit.take('grace', 99), 0);
  assert.equal(limit.take('grace', 99), 300);
});

test('callers beyond what is remembered push out the one that called longest ago', () => {
  const limit = aLimit();
  for (let call = 0; call < 3; call++) {
    limit.take('ada');
    limit.take('grace');
  }
  limit.take('ada');
  for (let other = 0; other < 9_999; other++) limit.take(`caller ${other}`);
  assert.equal(limit.waitMs('ada'), 0);
  assert.equal(limit.waitMs('grace'), 100);
});
