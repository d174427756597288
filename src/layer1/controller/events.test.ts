// Is what is told as true as what was done: in the same commit, in the order of commits, and kept up to a cap?

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { hostAliveKey, hostKey } from '#layer0/host/wire';
import { jobKey } from '#layer0/scheduler/wire';
import type { Operation } from '#layer0/store/client';
import { createMemoryStore } from '#layer0/store/fake';
import { type Route, routeKey } from '#layer1/router/wire';
import { collectEvents } from './act/collect.ts';
import type { AppView, CreatedToken, Released } from './api.ts';
import { eventOperation, followEvents, readEvents } from './events.ts';
import { TestBed } from './test-bed.ts';
import {
  appKey,
  deploymentKey,
  type Event,
  eventPrefix,
  type JobView,
  networkTombstoneKey,
  releaseKey,
  tokenPrefix,
} from './wire.ts';

let bed: TestBed;
beforeEach(async () => {
  bed = await new TestBed().start();
});
afterEach(() => bed.stop());

const listAll = async () => (await bed.ok<{ items: Event[] }>('GET', '/events?limit=1000')).items;

async function idOf(type: string): Promise<number | undefined> {
  return (await listAll()).findLast((event) => event.type === type)?.id;
}

async function madeBy(key: string): Promise<number | undefined> {
  return (await bed.store.get(key))?.createRevision;
}

async function changedBy(key: string): Promise<number | undefined> {
  return (await bed.store.get(key))?.modRevision;
}

test('an event is written by the commit of the change that it tells of', async () => {
  const app = await bed.ok<AppView>('POST', '/apps', { name: 'shop' });
  assert.equal(await idOf('app.created'), await madeBy(appKey(app.id)));
  await bed.ok('PATCH', '/apps/shop/formation', { quantities: { web: 2 } });
  assert.equal(await idOf('app.scaled'), await changedBy(appKey(app.id)));
  const made = await bed.ok<Released>('POST', '/apps/shop/deploy', { image: 'acme/shop:1' });
  assert.equal(await idOf('release.created'), await madeBy(releaseKey(app.id, 1)));
  await bed.untilDeployed('running', 1);
  const deployment = deploymentKey(app.id, made.deployment?.id ?? '');
  await bed.untilDeployed('complete', 1);
  assert.equal(await idOf('deployment.complete'), await changedBy(deployment));
  const job = await bed.ok<JobView>('POST', '/apps/shop/jobs', { command: ['true'] });
  assert.equal(await idOf('job.created'), await madeBy(jobKey(job.id)));
  const route = await bed.ok<Route>('POST', '/apps/shop/routes', { domain: 'shop.example.com' });
  assert.equal(await idOf('route.added'), await madeBy(routeKey(route.id)));
  const token = await bed.ok<CreatedToken>('POST', '/tokens', { name: 'grace' });
  const { entries } = await bed.store.list<{ id: string }>(tokenPrefix);
  const entry = entries.find(({ value }) => value.id === token.id);
  assert.equal(await idOf('token.created'), entry?.createRevision);
  await bed.ok('DELETE', '/apps/shop');
  assert.equal(await idOf('app.deleting'), await changedBy(appKey(app.id)));
  await bed.until('the end of the app', async () => (await idOf('app.deleted')) !== undefined);
  assert.equal(await idOf('app.deleted'), await madeBy(networkTombstoneKey(app.id)));
});

test('a machine that is not heard of any more, and is again, is told of by the leader; one that was removed is not', async () => {
  const key = hostAliveKey('h2');
  const write = (...operations: Operation[]) => bed.store.txn({ compare: [], operations });
  const told = async (count: number) => {
    const ofHost = async () =>
      (await listAll()).filter(({ object }) => object === 'h2').map(({ type }) => type);
    await bed.until(`${count} events`, async () => (await ofHost()).length === count);
    return await ofHost();
  };
  await write({ put: hostKey('h2'), value: { id: 'h2', name: 'zwei' } });
  await bed.step();
  await write({ put: key, value: {} });
  assert.deepEqual(await told(1), ['host.up']);
  await write({ delete: key });
  assert.deepEqual(await told(2), ['host.up', 'host.silent']);
  assert.match((await listAll()).at(-1)?.message ?? '', /^zwei is not heard of any more$/);
  await write({ put: key, value: {} });
  assert.deepEqual((await told(3)).at(-1), 'host.up');
  await write({ delete: hostKey('h2') });
  await bed.step();
  await write({ delete: key });
  for (let turn = 0; turn < 5; turn++) await bed.step();
  assert.equal((await told(3)).length, 3);
});

test('what is asked for twice is told once', async () => {
  await bed.ok('POST', '/apps', { name: 'shop' });
  for (let twice = 0; twice < 2; twice++) {
    await bed.ok('POST', '/apps/shop/routes', { domain: 'shop.example.com' });
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:1' }, { 'idempotency-key': 'k' });
  }
  // The second one may find nothing any more.
  for (let twice = 0; twice < 2; twice++) await bed.call('DELETE', '/apps/shop');
  const types = (await listAll()).map(({ type }) => type);
  for (const type of ['route.added', 'release.created', 'app.deleting'])
    assert.equal(types.filter((other) => other === type).length, 1, type);
});

test('ids go up with the commits, also when several write at once and by clocks that differ', async () => {
  const { store, clock, random } = bed.eventDeps();
  const late = { clock: { now: () => clock.now() - 60_000 }, random };
  await Promise.all(
    Array.from({ length: 40 }, (_, index) => {
      const event = { type: 'test', object: String(index), message: 'x' };
      const put = eventOperation(event, index % 2 === 0 ? { clock, random } : late);
      return store.txn({ compare: [], operations: [put] });
    }),
  );
  const events = await readEvents(store, { limit: 100 });
  const inOrder = [...events].sort((a, b) => a.id - b.id);
  assert.deepEqual(events, inOrder);
  assert.equal(new Set(events.map(({ id }) => id)).size, 40);
  const third = events[2]?.id;
  const rest = await readEvents(store, { after: third, limit: 5 });
  assert.deepEqual(
    rest.map(({ object }) => object),
    events.slice(3, 8).map(({ object }) => object),
  );
});

test('a follower that saw a later revision than this store has begins anew: it is another store', async () => {
  const { clock, random } = bed.eventDeps();
  const store = createMemoryStore({ clock, random });
  const put = eventOperation({ type: 'test', object: 'a', message: 'x' }, { clock, random });
  await store.txn({ compare: [], operations: [put] });
  assert.equal((await readEvents(store, { after: 1_000_000, limit: 5 })).length, 1);
  const gone = new AbortController();
  const followed = followEvents(store, { after: 1_000_000 }, gone.signal);
  assert.equal((await followed.next()).value?.object, 'a');
  gone.abort();
  await followed.return(undefined);
  await store.close();
});

test('the oldest events beyond the cap are collected', async () => {
  const deps = bed.eventDeps();
  const { store } = deps;
  for (let index = 0; index < 120; index++) {
    const event = { type: 'test', object: String(index), message: 'x' };
    await store.txn({ compare: [], operations: [eventOperation(event, deps)] });
  }
  const key = 'elections/controller/deployments';
  await collectEvents({ ...deps, fence: { key, is: 'present' }, cap: 50 });
  const left = await readEvents(store, { limit: 1_000 });
  assert.equal((await store.list(eventPrefix)).entries.length, 50);
  assert.deepEqual([left[0]?.object, left.at(-1)?.object], ['70', '119']);
});
