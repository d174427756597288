// Reports as they come and go, one entry at a time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostAliveKey, hostSilentPrefix } from '#layer0/host/wire';
import { aState } from './fake.ts';

const key = (watcher: string) => `${hostSilentPrefix}${watcher}`;

function aClusterOf(...ids: string[]) {
  const state = aState({ hosts: ids.map((id) => ({ id })) });
  let modRevision = 100;
  const say = (watcher: string, ...hosts: string[]) =>
    state.put({ key: key(watcher), value: { hosts }, modRevision: ++modRevision });
  const silent = () =>
    [...state.hosts.values()].filter((host) => host.silentBy).map(({ id }) => id);
  return { state, say, silent };
}

test('a host is silent from the last watcher that says so to the first that takes it back', () => {
  const { state, say, silent } = aClusterOf('h1', 'h2', 'h3');
  say('h1', 'h3');
  assert.deepEqual(silent(), []);
  const before = state.hostsVersion;
  say('h2', 'h3');
  assert.deepEqual(silent(), ['h3']);
  assert.ok(state.hostsVersion > before, 'every app is looked at again');
  assert.deepEqual(state.hosts.get('h3')?.silentBy, [
    { key: key('h1'), modRevision: 101 },
    { key: key('h2'), modRevision: 102 },
  ]);
  assert.equal(state.hosts.get('h3')?.isAlive, false);
  state.delete(key('h1'));
  assert.deepEqual(silent(), []);
  assert.equal(state.hosts.get('h3')?.isAlive, true);
  assert.equal(state.away.size, 0);
});

test('a watcher whose lease has ended is not asked for', () => {
  const { state, say, silent } = aClusterOf('h1', 'h2', 'h3', 'h4');
  say('h1', 'h4');
  say('h2', 'h4');
  assert.deepEqual(silent(), [], 'h3 hears it');
  state.delete(hostAliveKey('h3'));
  assert.deepEqual(silent(), ['h4']);
});

test('when all say it of one another, nobody is there to take anything over', () => {
  const { state, say } = aClusterOf('h1', 'h2', 'h3');
  say('h1', 'h2', 'h3');
  say('h2', 'h1', 'h3');
  say('h3', 'h1', 'h2');
  assert.deepEqual(
    [...state.hosts.values()].map(({ isAlive }) => isAlive),
    [false, false, false],
  );
});

test('a silent host keeps its lease, and a listing without a report ends the silence', () => {
  const { state, say, silent } = aClusterOf('h1', 'h2', 'h3');
  say('h1', 'h3');
  say('h2', 'h3');
  state.restartAbsences();
  assert.equal(state.hosts.get('h3')?.hasLease, true);
  assert.ok(state.keys().includes(hostAliveKey('h3')));
  state.replace(hostSilentPrefix, []);
  assert.deepEqual(silent(), []);
});

test('what cannot be read says nothing', () => {
  const { state, say, silent } = aClusterOf('h1', 'h2', 'h3');
  say('h1', 'h3');
  say('h2', 'h3');
  state.put({ key: key('h2'), value: 'nonsense', modRevision: 500 });
  assert.deepEqual(silent(), []);
});
