// The loop over the columns decides what asking each host one question after the other would decide.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '#core/random';
import { aJob, aSpec, aState, limits, megabyte } from '../fake.ts';
import type { Job } from '../wire.ts';
import { type Demand, demandOf, peersOn } from './demand.ts';
import { fitting } from './filters.ts';
import { PlanBoard } from './plan-board.ts';
import { Scatter } from './scatter.ts';

const hostCount = 12;

test('of the first that fit it takes the one with fewest peers, least busy, least promised in sixteenths', () => {
  const chosen = new Set<number>();
  for (let seed = 1; seed <= 500; seed++) {
    const random = seededRandom(seed);
    const demand = aDemand(random);
    const [from, most] = [below(hostCount, random), 1 + below(6, random)];
    const search = new Scatter(demand);
    const found = search.lookBetween(from, hostCount, most);
    const sample = fittingBetween(demand, from, hostCount).slice(0, most);
    assert.deepEqual([found, search.best], [sample.length, firstBest(demand, sample)], `${seed}`);
    search.lookBetween(0, from, hostCount);
    const all = [...sample, ...fittingBetween(demand, 0, from)];
    assert.equal(search.best, firstBest(demand, all), `seed ${seed}, and round`);
    chosen.add(search.best);
  }
  assert.equal(
    chosen.size,
    hostCount + 1,
    'each host was chosen by some seed, and none by another',
  );
});

function below(count: number, random: Random): number {
  return Math.floor(random() * count);
}

/** On hosts of which some are away, full, busy, without the tag, or have something planned. */
function aDemand(random: Random): Demand {
  const aHostId = () => `h${below(hostCount, random)}`;
  const aClaim = (): Partial<Job> => ({
    app: `app-${below(3, random)}`,
    host: aHostId(),
    spec: aSpec({
      resources: {
        memoryBytes: (1 + below(6, random)) * 100 * megabyte,
        cpuMillis: (1 + below(6, random)) * 250,
        pids: (1 + below(4, random)) * 1000,
      },
      tags: random() < 0.3 ? { disk: 'ssd' } : {},
    }),
  });
  const state = aState({
    hosts: Array.from({ length: hostCount }, (_, place) => ({
      id: `h${place}`,
      memoryBytes: (1 + below(4, random)) * 512 * megabyte,
      cpuMillis: (1 + below(4, random)) * 250,
      busyPercent: below(101, random),
      isAway: random() < 0.1,
      tags: random() < 0.7 ? { disk: 'ssd' } : {},
    })),
    jobs: Array.from({ length: below(25, random) }, aClaim),
  });
  const board = new PlanBoard(state);
  for (let planned = below(6, random); planned > 0; planned--) board.add(aHostId(), aJob(aClaim()));
  return demandOf(board, aJob(aClaim()), limits);
}

function fittingBetween(demand: Demand, from: number, to: number): number[] {
  const slots = Array.from({ length: to - from }, (_, place) => from + place);
  return slots.filter(fitting(demand));
}

function firstBest(demand: Demand, slots: number[]): number {
  const answers = (slot: number) => [
    peersOn(demand, slot),
    Math.min(3, Math.floor((demand.board.index.busyPercent[slot] ?? 0) / 25)),
    Math.floor(16 * demand.board.shareWith(demand, slot)),
  ];
  const [best = -1] = slots.toSorted((a, b) => inOrder(answers(a), answers(b)));
  return best;
}

function inOrder(a: number[], b: number[]): number {
  const place = a.findIndex((answer, at) => answer !== b[at]);
  return (a[place] ?? 0) - (b[place] ?? 0);
}
