// What does a decision about an app get to see of its releases?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aFormation } from '#layer0/scheduler/fake';
import type { Store } from '#layer0/store/client';
import type { Observer } from './observe.ts';
import { ReleaseCache, viewOf } from './view.ts';
import type { App, Release } from './wire.ts';

const app = {
  id: 'app-shop',
  name: 'shop',
  currentRelease: 'rel-1',
  currentVersion: 1,
  limits: {},
};

function aRelease(version: number): Release {
  const placements = { web: { hostPorts: [{ port: 8080, hostPort: 9000, protocol: 'tcp' }] } };
  const rest = { app: app.id, imageId: 'sha256:0', sealedEnv: {}, processes: { web: {} } };
  return { id: `rel-${version}`, version, ...rest, placements } as unknown as Release;
}

test('a release that still runs is seen whole, though no deployment names it: its ports are taken', async () => {
  const formations = [1, 2].map((version) => ({
    value: aFormation({ release: `rel-${version}`, releaseVersion: version }),
  }));
  const observer = {
    deployments: () => [],
    formations: () => formations,
    jobs: () => [],
    hostCount: () => 1,
    machineCount: () => 1,
  } as unknown as Observer;
  const store = {
    get: async (key: string) => ({ value: aRelease(Number(key.split('/').at(-1))) }),
  };
  const releases = new ReleaseCache(store as unknown as Store);
  const view = await viewOf(app as unknown as App, { observer, releases, now: 0 });
  const ports = [...view.releases].map(([id, { types }]) => [id, types.web?.hasHostPorts]);
  assert.deepEqual(ports, [
    ['rel-1', true],
    ['rel-2', true],
  ]);
});
