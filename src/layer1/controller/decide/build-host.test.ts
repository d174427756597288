// Where an app is built.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pickBuildHost } from './build-host.ts';

const calm = { id: 'host-b', state: 'up', busyPercent: 5 } as const;
const busy = { id: 'host-a', state: 'up', busyPercent: 80 } as const;
const gone = { id: 'host-c', state: 'silent' } as const;

test('an app is built where it was built last, as long as that machine is there', () => {
  assert.equal(pickBuildHost([calm, busy], 'host-a'), 'host-a');
  assert.equal(pickBuildHost([calm, busy, gone], 'host-c'), 'host-b');
});

test('an app that was never built is built on the least busy machine', () => {
  assert.equal(pickBuildHost([busy, calm]), 'host-b');
});

test('one machine is no choice', () => {
  assert.equal(pickBuildHost([calm, gone], 'host-c'), undefined);
});
