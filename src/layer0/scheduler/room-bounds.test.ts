// Blocks of hosts are passed over only when none of them has room, whatever was taken and given back meanwhile.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '#core/random';
import { hostAliveKey, hostKey } from '#layer0/host/wire';
import type { ClusterState } from './cluster-state.ts';
import { type Demand, demandOf } from './decide/demand.ts';
import { fitting } from './decide/filters.ts';
import { PlanBoard } from './decide/plan-board.ts';
import { Scatter } from './decide/scatter.ts';
import { aHost, aJob, aSpec, aState, limits, megabyte } from './fake.ts';
import { jobKey } from './wire.ts';

const hostCount = 200;

test('a scan finds exactly the hosts with room, on a cluster that changes between scans', () => {
  let refusals = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed);
    const hosts = Array.from({ length: hostCount }, (_, place) => ({
      id: `h${place}`,
      memoryBytes: 2048 * megabyte,
    }));
    const state = aState({ hosts });
    for (let step = 1; step <= 60; step++) {
      for (let change = 0; change < 20; change++) disturb(state, random, step);
      const board = new PlanBoard(state);
      for (let planned = below(4, random); planned > 0; planned--)
        board.add(`h${below(hostCount, random)}`, aJob({ spec: aSpecOf(random) }));
      const factors = random() < 0.1 ? { ...limits, memoryOvercommitPercent: 150 } : limits;
      const demand = demandOf(board, aJob({ spec: aSpecOf(random) }), factors);
      const expected = Array.from({ length: board.size }, (_, slot) => slot).filter(
        fitting(demand),
      );
      assert.deepEqual(scanned(demand, board.size), expected, `seed ${seed}, step ${step}`);
      const found = new Scatter(demand).lookBetween(below(3, random), board.size, board.size);
      assert.ok(found <= expected.length && found >= expected.length - 2, `seed ${seed}, ${found}`);
      if (expected.length < hostCount / 8) refusals++;
    }
  }
  assert.ok(refusals > 50, `only ${refusals} scans met a cluster that is nearly full`);
});

function below(count: number, random: Random): number {
  return Math.floor(random() * count);
}

/** Of 4 GB and 4 cpus: two to eight fill a host. */
function aSpecOf(random: Random) {
  const parts = 1 + below(4, random);
  const resources = { memoryBytes: parts * 512 * megabyte, cpuMillis: parts * 500, pids: 1 };
  return aSpec({ resources });
}

/** Jobs come and go, more of them in some of the steps; a host gets larger, smaller, or is away for a while. */
function disturb(state: ClusterState, random: Random, modRevision: number): void {
  const host = `h${below(hostCount, random)}`;
  const id = `job-${below(6 * hostCount, random)}`;
  const chance = random();
  if (chance < 0.7) {
    const value = aJob({ id, host, spec: aSpecOf(random) });
    state.put({ key: jobKey(id), value, modRevision });
  } else if (chance < 0.8) state.delete(jobKey(id));
  else if (chance < 0.87) state.delete(hostAliveKey(host));
  else if (chance < 0.95) state.put({ key: hostAliveKey(host), value: {}, modRevision });
  else {
    const memoryBytes = (1 + below(5, random)) * 1024 * megabyte;
    state.put({ key: hostKey(host), value: aHost({ id: host, memoryBytes }), modRevision });
  }
}

function scanned(demand: Demand, size: number): number[] {
  const slots: number[] = [];
  for (let slot = 0; slot < size; slot++) {
    slot = demand.board.nextWithRoom(demand, slot, size);
    if (slot === -1) break;
    slots.push(slot);
  }
  return slots;
}
