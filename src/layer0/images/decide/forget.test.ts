// A registry forgets what nothing names, and nothing that is on its way into a release.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { imagesToForget } from './forget.ts';

test('a registry forgets images that nothing names and that were there for the whole age', () => {
  const firstSeenMs = new Map([
    ['old', 0],
    ['needed', 0],
    ['young', 500],
  ]);
  const input = { held: ['old', 'needed', 'young', 'new'], needed: new Set(['needed']) };
  const at = (nowMs: number) => imagesToForget({ ...input, firstSeenMs, nowMs, minAgeMs: 1000 });
  assert.deepEqual(at(999), []);
  assert.deepEqual(at(1000), ['old']);
  assert.deepEqual(at(1500), ['old', 'young']);
});
