// Does a step that was decided on a stale view, or by a leader that is no more, leave the store as it is?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSchedulerClient } from '#layer0/scheduler/client';
import type { Compare } from '#layer0/store/client';
import { createObserver } from '../observe.ts';
import { TestBed } from '../test-bed.ts';
import { ReleaseCache } from '../view.ts';
import { appKey } from '../wire.ts';
import { act } from './steps.ts';

test('a step on a view that others have changed since does nothing', async () => {
  const bed = await new TestBed().start();
  await bed.deployShop();
  const { id } = await bed.ok<{ id: string }>('GET', '/apps/shop');
  await bed.controller.stop();
  const { store, clock } = bed;
  const deps = { ...bed.observeDeps(), store, clock };
  const observer = createObserver(deps);
  await observer.ready;
  const app = observer.app(id);
  assert.ok(app);
  const [formation] = observer.formations(id);
  assert.ok(formation);
  const contextWith = (fence: Compare) => ({
    app,
    fence,
    store,
    observer,
    clock,
    random: deps.random,
    releases: new ReleaseCache(store),
    scheduler: createSchedulerClient({ store, clock }),
  });
  const release = formation.value.release;
  const steps = [
    { type: 'scale', release, quantities: { web: 9 } },
    { type: 'remove-formation', release },
    { type: 'purge' },
  ] as const;
  const deposed = contextWith({ key: 'elections/controller/deployments', is: 'present' });
  const leading = contextWith({ key: 'elections/controller/deployments', is: 'absent' });
  const before = await store.list('scheduler/formations/');
  for (const step of steps) assert.equal((await act(deposed, step)).ok, false, step.type);
  await store.txn({
    compare: [],
    operations: [{ put: appKey(id), value: { ...app.value, strategy: 'all-at-once' } }],
  });
  for (const step of steps.slice(0, 2))
    assert.equal((await act(leading, step)).ok, false, step.type);
  assert.deepEqual((await store.list('scheduler/formations/')).entries, before.entries);
  observer.stop();
  await bed.stop();
});
