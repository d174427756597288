// Several machines and all that can happen between them: every invariant holds, and everything settles once it is over.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diffFormations } from '../../src/layer0/scheduler/decide/diff-formations.ts';
import { type SimulationOptions, simulate } from './simulation.ts';

const seeds = 500;
/** Seeds that may be tried until the lack of a guard shows. */
const guardSeeds = 1000;

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

/** The first message that clusters without the guard fail with. */
async function failureWithout(guard: NonNullable<SimulationOptions['without']>): Promise<string> {
  for (let seed = 1; seed <= guardSeeds; seed++) {
    const { failure } = await simulate(seed, { isCluster: true, without: guard });
    if (failure) return failure.message;
  }
  return 'nothing failed';
}

test('without the status that it follows among its compares, a late one sets a job back', async () => {
  const message = await failureWithout({ compares: ({ key }) => key.startsWith('host/status/') });
  assert.match(message, /went back from/);
});

test('without the compares of the address ledger, an address is given twice', async () => {
  const message = await failureWithout({ compares: ({ key }) => key.startsWith('network/') });
  assert.match(message, /is used twice|is still held|lacks|still has/);
});

test('without the grace, a pause moves jobs', async () => {
  const message = await failureWithout({
    decisions: {
      diffFormations(state, app, { board, context }) {
        return diffFormations(state, app, { board, context: { ...context, hostLossGraceMs: 0 } });
      },
    },
  });
  assert.match(message, /was stopped|are asked for/);
});

test('without a break in a stream that has a gap, a cluster does not settle', async () => {
  const message = await failureWithout({ breaks: true });
  assert.match(message, /not settled after/);
});
