// Several machines and all that can happen between them: every invariant holds, and everything settles once it is over.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate } from './simulation.ts';

const seeds = 500;

test('five hundred clusters break no invariant, and everything settles once ways and clocks are as they were', async () => {
  const failures: string[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    const { failure } = await simulate(seed, { isCluster: true });
    if (failure) failures.push(`seed ${seed}: ${failure.message}\n${failure.last.join('\n')}`);
  }
  assert.equal(failures.length, 0, failures.slice(0, 3).join('\n\n'));
});

test('a cluster that is played again leaves the same trace', async () => {
  for (const seed of [6, 66, 166]) {
    const [first, second] = [
      await simulate(seed, { isCluster: true }),
      await simulate(seed, { isCluster: true }),
    ];
    assert.equal(second.digest, first.digest);
    assert.ok(first.lines > 20, 'the trace says something');
  }
});
