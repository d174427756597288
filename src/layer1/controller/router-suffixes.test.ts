// After a change of the platform's domain, containers are told that names of the old one lead to the router: as long as an
// app has a route there.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { type RouterSuffixes, routerSuffixesKey } from '#layer0/discovery/wire';
import { type Route, routeKey } from '#layer1/router/wire';
import { TestBed } from './test-bed.ts';

/** Between two looks of the leader at what is no longer needed. */
const collectEveryMs = 60_000;

let bed: TestBed;
beforeEach(async () => {
  bed = await new TestBed().start();
});
afterEach(() => bed.stop());

function route(id: string, domain: string, isSystem: boolean): Route {
  return {
    id,
    app: 'app-1',
    appName: 'shop',
    service: 'web.shop',
    type: 'http',
    domain,
    isSystem,
    sendsProxyProtocol: false,
    redirectsToHttps: false,
    createdAt: 0,
  };
}

async function untilTold(suffixes: string[]): Promise<void> {
  await bed.until(`${suffixes} to be told`, async () => {
    const told = await bed.store.get<RouterSuffixes>(routerSuffixesKey);
    return told?.value.suffixes.join() === suffixes.join();
  });
}

test('the leader tells layer 0 the domain, and a former one while an app has a route under it', async () => {
  await untilTold(['gantry.localhost']);
  const former = [route('rte-1', 'api.old.test', true), route('rte-2', 'shop.old.test', false)];
  const operations = former.map((value) => ({ put: routeKey(value.id), value }));
  await bed.store.txn({ compare: [], operations });
  await bed.step(collectEveryMs);
  await untilTold(['gantry.localhost', 'old.test']);
  const before = await bed.store.get(routerSuffixesKey);
  await bed.step(collectEveryMs);
  await bed.step(collectEveryMs);
  const after = await bed.store.get(routerSuffixesKey);
  assert.equal(after?.modRevision, before?.modRevision, 'what is told is not told again');
  await bed.store.txn({ compare: [], operations: [{ delete: routeKey('rte-2') }] });
  await bed.step(collectEveryMs);
  await untilTold(['gantry.localhost']);
});
