// Is what was asked of discovery taken back in the end, whatever could not be said on the way?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coreErrors } from '#core/errors';
import { FakeClock } from '#core/fake-clock';
import type { DiscoveryClient, Instance } from '#layer0/discovery/client';
import { anInstance } from '#layer0/discovery/fake';
import { testConfig } from '../fake.ts';
import { emptyMemory, type JobView } from '../view.ts';
import { markDraining } from './discovery.ts';
import type { ActDeps } from './outcome.ts';

test('a listing of an earlier life whose drain could not be said is taken back when it is gone', async () => {
  const listed = [anInstance(1)];
  const wanted = new Set<string>();
  const discovery: Partial<DiscoveryClient> = {
    ready: async () => undefined,
    instances: () => listed,
    // It stays wanted when the store does not answer.
    register: async ({ job = '' }: Instance) => {
      wanted.add(job);
      throw coreErrors.unreachable('the store does not answer');
    },
    deregister: async ({ handle }) => void wanted.delete(handle),
  };
  const deps = { discovery, clock: new FakeClock(), config: testConfig } as unknown as ActDeps;
  const view: JobView = {
    jobId: 'job-1',
    job: undefined,
    intent: 'leave',
    status: undefined,
    containers: [],
    memory: emptyMemory(),
  };
  const step = { kind: 'markDraining', service: 'web.shop' } as const;
  await assert.rejects(() => markDraining(step, view, deps), /does not answer/);
  assert.deepEqual([...wanted], ['job-1']);
  // The lease of that life has ended.
  listed.pop();
  await markDraining(step, view, deps);
  assert.deepEqual([[...wanted], view.memory.registered], [[], 'no']);
});
