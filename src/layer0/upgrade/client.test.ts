// What script/up sees of an upgrade: who is behind, who is only silent because it is being replaced, and who failed.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { hostAliveKey, hostKey } from '#layer0/host/wire';
import { createMemoryStore } from '#layer0/store/fake';
import { askForVersion, readProgress, type Wanted } from './client.ts';
import { turnKey } from './wire.ts';

const clock = new FakeClock();
let store: ReturnType<typeof createMemoryStore>;
let wanted: Wanted;

beforeEach(async () => {
  store = createMemoryStore({ clock });
  const wish = { version: 'new', image: 'sha256:a', tag: 'gantry/system:new' };
  wanted = await askForVersion(store, wish, clock);
});

const put = (key: string, value: unknown) =>
  store.txn({ compare: [], operations: [{ put: key, value }] });

async function aHost(name: string, version: string, isAlive: boolean): Promise<void> {
  await put(hostKey(`host-${name}`), { id: `host-${name}`, name, version });
  if (isAlive) await put(hostAliveKey(`host-${name}`), {});
}

test('hosts of another version are waited for while they are alive, and named when they are not', async () => {
  await aHost('a', 'new', true);
  await aHost('b', 'old', true);
  await aHost('c', 'old', false);
  const progress = await readProgress(store, wanted);
  assert.deepEqual(progress, { waiting: ['b'], silent: ['c'], failure: undefined });
});

test('a host whose daemon is being replaced is silent, and waited for', async () => {
  await aHost('b', 'old', false);
  await put(turnKey, { upgrade: wanted.id, host: 'host-b' });
  assert.deepEqual((await readProgress(store, wanted)).waiting, ['b']);
  await put(turnKey, { upgrade: 'upg-before', host: 'host-b' });
  assert.deepEqual((await readProgress(store, wanted)).silent, ['b']);
});

test('a host has its turn until its copy of the store has followed its daemon', async () => {
  await aHost('b', 'new', true);
  await put(turnKey, { upgrade: wanted.id, host: 'host-b' });
  assert.deepEqual((await readProgress(store, wanted)).waiting, ['b']);
  await store.txn({ compare: [], operations: [{ delete: hostAliveKey('host-b') }] });
  const lost = await readProgress(store, wanted);
  assert.deepEqual(lost, { waiting: [], silent: [], failure: undefined });
});

test('a host that went back to its old daemon is named with its reason', async () => {
  await aHost('b', 'old', true);
  await put(turnKey, { upgrade: wanted.id, host: 'host-b', failure: 'it ended 3 times' });
  const { failure } = await readProgress(store, wanted);
  assert.deepEqual(failure, { host: 'b', reason: 'it ended 3 times' });
  const again = await askForVersion(store, wanted, clock);
  assert.equal((await readProgress(store, again)).failure, undefined);
});
