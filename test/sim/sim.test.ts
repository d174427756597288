// A thousand seeds hold every invariant and settle; a run replays; and three guards, taken out, are missed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diffFormations } from '../../src/layer0/scheduler/decide/diff-formations.ts';
import type { Step } from '../../src/layer0/scheduler/decide/steps.ts';
import type { SimulationOptions } from './simulation.ts';
import { simulate } from './simulation.ts';

const seeds = 1000;
/** Seeds that may be tried until the lack of a guard shows. */
const guardSeeds = 1000;

test('a thousand seeds break no invariant, and everything settles once the faults are over', async () => {
  const failures: string[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    const { failure } = await simulate(seed);
    if (failure) failures.push(`seed ${seed}: ${failure.message}\n${failure.last.join('\n')}`);
  }
  assert.equal(failures.length, 0, failures.slice(0, 3).join('\n\n'));
});

test('a seed that is played again leaves the same trace', async () => {
  for (const seed of [7, 77, 777]) {
    const [first, second] = [await simulate(seed), await simulate(seed)];
    assert.equal(second.digest, first.digest);
    assert.ok(first.lines > 20, 'the trace says something');
  }
});

/** The first message that a simulation without the guard fails with. */
async function failureWithout(
  guard: NonNullable<SimulationOptions['without']>,
  firstSeed = 1,
): Promise<string | undefined> {
  for (let seed = firstSeed; seed < firstSeed + guardSeeds; seed++) {
    const { failure } = await simulate(seed, { without: guard });
    if (failure) return failure.message;
  }
  return undefined;
}

test('without the claims in its compares, an answer that is lost makes a scheduler create jobs twice', async () => {
  // An answer must be lost while the news of the commit is late: rare, so the search begins where it is known to be near.
  const message = await failureWithout(
    { compares: ({ key }) => key.startsWith('scheduler/claims/') },
    430,
  );
  assert.match(message ?? 'nothing failed', /are asked for|given twice|was stopped although/);
});

test('without the wait for `down`, a record goes while its container runs', async () => {
  const message = await failureWithout({
    decisions: {
      *diffFormations(state, app, planning): Generator<Step> {
        yield* diffFormations(state, app, planning);
        for (const { job } of state.jobsOf(app))
          if (job.kind === 'service' && job.desired === 'down')
            yield { kind: 'remove', jobId: job.id, because: 'nobody waits for its end' };
      },
    },
  });
  assert.match(message ?? 'nothing failed', /the record of .* went while its host says/);
});

test('without the grace, a host that is away for a moment loses its jobs', async () => {
  const message = await failureWithout({
    decisions: {
      diffFormations(state, app, { board, context }) {
        return diffFormations(state, app, { board, context: { ...context, hostLossGraceMs: 0 } });
      },
    },
  });
  assert.match(message ?? 'nothing failed', /was stopped|are asked for/);
});
