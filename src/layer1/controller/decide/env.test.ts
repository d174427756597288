// Which config values are refused before anything is sealed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maxEnvValues } from '../wire.ts';
import { checkEnv, checkSealedTotal } from './env.ts';

const values = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`K${n}`, 'v']));

test('an app has a bounded number of variables, however small they are', () => {
  checkEnv(values(maxEnvValues));
  assert.throws(() => checkEnv(values(maxEnvValues + 1)), { code: 'controller.configTooLarge' });
  assert.throws(() => checkSealedTotal(values(maxEnvValues + 1)), {
    code: 'controller.configTooLarge',
  });
});

test("Gantry's own names are refused, but for the one that chooses the buildpack", () => {
  assert.throws(() => checkEnv({ GANTRY_HOME: '/' }), { code: 'controller.invalidConfig' });
  checkEnv({ GANTRY_BUILDPACK: 'static' });
});
