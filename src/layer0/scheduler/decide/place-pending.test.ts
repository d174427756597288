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

const claimed = (host: string, by: string) => ({ key: `scheduler/claims/hosts/${host}`, by });

/** The host of a one-off that comes when each host was last claimed by one of these, in this order. */
function hostOfOneOff(options: StateOptions, claims: { key: string; by: string }[] = []): string {
  const waiting = { kind: 'ephemeral', type: 'run', app: 'app-other' } as const;
  const state = aState({ ...options, jobs: [...(options.jobs ?? []), waiting] });
  for (const [place, { key, by }] of claims.entries())
    state.put({ key, value: { by }, modRevision: 100 + place });
  const planning = { board: new PlanBoard(state), context: aContext() };
  const [step] = placePending(state, 'ephemeral', planning);
  assert.ok(step?.kind === 'place');
  return step.host;
}

const three = [{ id: 'h1' }, { id: 'h2' }, { id: 'h3' }];

test('a one-off goes where most jobs are, which is where services go last', () => {
  assert.equal(hostOfOneOff({ hosts: three, jobs: [{ host: 'h2' }, { host: 'h2' }] }), 'h2');
});

test('a one-off goes where the service scheduler just was: one that is being spread comes there last', () => {
  const given = { hosts: three, jobs: [{ host: 'h1' }, { host: 'h2' }, { host: 'h3' }] };
  const order = ['h2', 'h1', 'h3'].map((host) => claimed(host, 'service'));
  assert.equal(hostOfOneOff(given, order), 'h3');
  assert.equal(hostOfOneOff(given, [...order, claimed('h3', 'ephemeral')]), 'h1');
});

test('a one-off goes where no packed jobs are: more of these come to where some are', () => {
  const jobs = [{ host: 'h1', ...packed }, { host: 'h1' }, { host: 'h2' }];
  assert.equal(hostOfOneOff({ hosts: three, jobs }, [claimed('h1', 'service')]), 'h2');
});
