// Dockerfile or buildpack: who decides?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BuildRequest } from '../wire.ts';
import { planBuild } from './build-plan.ts';

function aRequest(env: Record<string, string> = {}): BuildRequest {
  return { app: 'app-1', appName: 'shop', commit: 'abc', env, timeoutMs: 1000 };
}

test('a Dockerfile decides, unless the app asks for a buildpack', () => {
  const source = { bytes: 1, hasDockerfile: true };
  assert.equal(planBuild(source, aRequest()).kind, 'dockerfile');
  assert.deepEqual(planBuild(source, aRequest({ GANTRY_BUILDPACK: 'nodejs' })), {
    kind: 'buildpack',
    buildpack: 'nodejs',
  });
});

test('without a Dockerfile the buildpacks look', () => {
  const source = { bytes: 1, hasDockerfile: false };
  assert.deepEqual(planBuild(source, aRequest()), { kind: 'buildpack', buildpack: undefined });
});

test('a bad Procfile costs no build', () => {
  const source = { bytes: 1, hasDockerfile: false, procfile: 'nonsense' };
  assert.throws(() => planBuild(source, aRequest()), { code: 'builder.badProcfile' });
});
