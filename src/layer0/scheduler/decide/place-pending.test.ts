// In which order the jobs that wait get their places.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aContext, aSpec, aState, gigabyte, type StateOptions } from '../fake.ts';
import { placePending } from './place-pending.ts';
import { PlanBoard } from './plan-board.ts';

/** Ids of the jobs in the order they are placed. */
function order(options: StateOptions): string[] {
  const state = aState(options);
  const planning = { board: new PlanBoard(state), context: aContext() };
  return [...placePending(state, 'service', planning)].map((step) => {
    assert.ok(step.kind === 'place');
    return step.jobId;
  });
}

const gigabytes = (count: number) =>
  aSpec({ resources: { memoryBytes: count * gigabyte, cpuMillis: 100, pids: 1 } });
const packed = { placement: 'binpack' } as const;

test('the more important job is placed first, then the older one', () => {
  const jobs = [{ createdAt: 2 }, { createdAt: 1 }, { createdAt: 3, priority: 10 }];
  assert.deepEqual(order({ hosts: [{ id: 'h1' }], jobs }), ['job-3', 'job-2', 'job-1']);
});

test('a batch that is packed goes largest first within its priority, so that small jobs fill what is left', () => {
  const jobs = [
    { ...packed, type: 'a', spec: gigabytes(1) },
    { ...packed, type: 'b', spec: gigabytes(3) },
    { ...packed, type: 'c', spec: gigabytes(2) },
    { ...packed, type: 'd', spec: gigabytes(1), priority: 1 },
  ];
  const hosts = [{ id: 'h1' }, { id: 'h2' }];
  assert.deepEqual(order({ hosts, jobs }), ['job-4', 'job-2', 'job-3', 'job-1']);
});

test('fewer packed jobs than hosts are no batch: the older one is first', () => {
  const jobs = [
    { ...packed, type: 'a', spec: gigabytes(1) },
    { ...packed, type: 'b', spec: gigabytes(3) },
  ];
  const hosts = [{ id: 'h1' }, { id: 'h2' }, { id: 'h3' }];
  assert.deepEqual(order({ hosts, jobs }), ['job-1', 'job-2']);
});

test('a one-off goes where most jobs are, which is where services go last', () => {
  const waiting = { kind: 'ephemeral', type: 'run', app: 'app-other' } as const;
  const jobs = [{ host: 'h2' }, { host: 'h2' }, { host: 'h1' }, waiting];
  const state = aState({ hosts: [{ id: 'h1' }, { id: 'h2' }, { id: 'h3' }], jobs });
  const planning = { board: new PlanBoard(state), context: aContext() };
  assert.deepEqual(
    [...placePending(state, 'ephemeral', planning)],
    [{ kind: 'place', jobId: 'job-4', host: 'h2' }],
  );
});
