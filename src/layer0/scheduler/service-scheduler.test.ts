// In which order the service scheduler does its work: by priority, whether a job waits or is still to be made.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostAliveKey, hostKey } from '#layer0/host/wire';
import {
  aContext,
  aFormation,
  aJob,
  aProcess,
  aSpec,
  aState,
  gigabyte,
  type StateOptions,
} from './fake.ts';
import { ServiceDecider } from './service-scheduler.ts';
import { hostClaimKey, jobKey } from './wire.ts';

/** `place job-1`, `create app-new`: with the host that each gets. */
function decided(options: StateOptions): string[] {
  const steps = new ServiceDecider().decide(aState(options), aContext());
  return [...steps].map((step) => {
    if (step.kind === 'place') return `${step.jobId} on ${step.host}`;
    if (step.kind === 'create') return `${step.job.app} on ${step.job.host}`;
    return step.kind;
  });
}

const spec = aSpec({ resources: { memoryBytes: 3 * gigabyte, cpuMillis: 100, pids: 1 } });

/** One host with room for one: a job waits, and another app has just been asked for. */
function oneOf(waiting: number, coming: number): string[] {
  const process = { web: aProcess({ spec }) };
  const formations = [
    aFormation({ priority: waiting, processes: process }),
    aFormation({ app: 'app-new', release: 'rel-9', priority: coming, processes: process }),
  ];
  const jobs = [{ priority: waiting, spec, pendingReason: 'not enough memory' }];
  return decided({ hosts: [{ id: 'h1' }], formations, jobs });
}

test('a job that waits gets its place before a new one of the same priority', () => {
  assert.deepEqual(oneOf(5, 5), ['job-1 on h1', 'app-new on undefined']);
});

test('a more important app gets its place before a job that has waited longer', () => {
  assert.deepEqual(oneOf(5, 6), ['app-new on h1', 'explain']);
});

test('apps are looked at by the priority of their formations, not as they came', () => {
  const apps = [1, 1000, 10].map((priority) =>
    aFormation({ app: `app-${priority}`, release: `rel-${priority}`, priority }),
  );
  assert.deepEqual(decided({ hosts: [{ id: 'h1' }], formations: apps }), [
    'app-1000 on h1',
    'app-10 on h1',
    'app-1 on h1',
  ]);
});

test('the claim of a host that was taken out is forgotten, and no other', () => {
  const state = aState({ hosts: [{ id: 'h1' }] });
  for (const id of ['h1', 'h2'])
    state.put({ key: hostClaimKey(id), value: { by: 'test' }, modRevision: 1 });
  const steps = [...new ServiceDecider().decide(state, aContext())];
  assert.deepEqual(steps, [{ kind: 'forget', claim: hostClaimKey('h2') }]);
});

test('the claim of a host that was taken out is forgotten when its last job is gone', () => {
  const state = aState({ hosts: [{ id: 'h1' }, { id: 'h2' }] });
  const job = aJob({ id: 'job-1', host: 'h2', desired: 'down' });
  state.put({ key: jobKey(job.id), value: job, modRevision: 1 });
  state.put({ key: hostClaimKey('h2'), value: { by: 'test' }, modRevision: 1 });
  const decider = new ServiceDecider();
  const forgotten = () =>
    [...decider.decide(state, aContext())].filter(({ kind }) => kind === 'forget');
  for (const key of [hostAliveKey('h2'), hostKey('h2')]) state.delete(key);
  assert.deepEqual(forgotten(), [], 'a commit about its job compares it');
  state.delete(jobKey(job.id));
  assert.deepEqual(forgotten(), [{ kind: 'forget', claim: hostClaimKey('h2') }]);
});
