// What is believed about containers while the engine answers late, and what is done about one that runs although it was given up.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { silentLog } from '#core/log';
import { kindsOf, planJob } from './decide/plan-job.ts';
import { EngineView } from './engine-view.ts';
import { aJob, testHostId } from './fake.ts';
import { labels } from './labels.ts';
import type { Container, Runtime } from './runtime/runtime.ts';
import { emptyMemory } from './view.ts';

const clusterId = 'cluster-test';

function aContainer(change: Partial<Container> = {}): Container {
  return {
    id: 'one',
    name: 'one',
    image: 'app:1',
    state: 'running',
    isOutOfMemory: false,
    createdAt: 0,
    startedAt: 0,
    labels: { [labels.cluster]: clusterId, [labels.job]: aJob().id, [labels.attempt]: '5' },
    ...change,
  };
}

it('a container that is created while the engine makes its list is not taken for removed', async () => {
  const list = Promise.withResolvers<Container[]>();
  const runtime: Pick<Runtime, 'list' | 'inspect'> = {
    list: () => list.promise,
    inspect: async () => aContainer(),
  };
  const view = new EngineView({
    runtime: runtime as Runtime,
    clusterId,
    log: silentLog,
    onChange: () => {},
  });
  const resynced = view.resync();
  await view.refresh('one');
  list.resolve([]);
  await resynced;
  assert.deepEqual(
    view.of(aJob().id).map(({ id }) => id),
    ['one'],
  );
  list.resolve([]);
  await view.resync();
  assert.deepEqual(view.of(aJob().id), []);
});

it('a container that runs although its attempt was given up is ended, so that the next attempt can begin', () => {
  const job = aJob();
  const plan = planJob(
    {
      jobId: job.id,
      job,
      intent: 'run',
      memory: emptyMemory(),
      containers: [aContainer()],
      status: {
        jobId: job.id,
        host: testHostId,
        attempt: 5,
        state: 'failed',
        restartAt: 2_000,
        isHealthy: false,
        restarts: 4,
        ports: {},
        updatedAt: 1_000,
      },
    },
    {
      hostId: testHostId,
      now: 3_000,
      monotonicMs: 3_000,
      due: { restartMs: 2_000 },
      drain: { mayStop: true, waitsFor: [], isForLostOnly: false },
      tenure: { isHeld: true, isOver: false },
    },
  );
  assert.deepEqual(kindsOf(plan.steps), ['kill']);
});
