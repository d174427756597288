// A scale run at a tiny size, so that the large one cannot rot.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulateScale } from './scale/scale.ts';

test('everything is placed, services are even, and the same seed decides the same', () => {
  const run = () => simulateScale(1, { hosts: 120, jobs: 3000 });
  const [first, second] = [run(), run()];
  assert.deepEqual([first.placed, first.pending, first.unevenServices], [3000, 0, 0]);
  assert.ok(first.packing < 1.15, `hard jobs take ${first.packing} times the hosts they need`);
  assert.deepEqual(
    [second.commits, second.conflicts, second.packing],
    [first.commits, first.conflicts, first.packing],
  );
});
