// Which machines does the API show, and how does one more get in?

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { hostAlivePrefix, hostKey } from '#layer0/host/wire';
import type { HostView } from './api.ts';
import { listHosts } from './operations/hosts.ts';
import { TestBed } from './test-bed.ts';

let bed: TestBed;
beforeEach(async () => {
  bed = await new TestBed().start();
});
afterEach(() => bed.stop());

test('a machine is up while its daemon is heard of, silent afterwards, and joining before its first word', async () => {
  const first = { id: 'host-one', name: 'eins', address: '10.0.0.1', memoryBytes: 1, cpuMillis: 1 };
  const record = { put: hostKey(first.id), value: { ...first, engineVersion: '1', version: 'a' } };
  await bed.store.txn({ compare: [], operations: [record] });
  const [shown] = (await bed.ok<{ items: HostView[] }>('GET', '/hosts')).items;
  assert.deepEqual([shown?.name, shown?.jobs, shown?.state], ['eins', 0, 'silent']);
  const member = { name: 'zwei', address: '10.0.0.2', port: 7443, admittedAt: 1 };
  const membership = {
    createToken: async () => ({ token: 'gantry-join-x', expiresAt: 1 }),
    list: async () => [
      { ...member, hostId: first.id },
      { ...member, hostId: 'host-new' },
    ],
  };
  const context = { ...bed, membership } as unknown as Parameters<typeof listHosts>[0];
  await bed.store.txn({
    compare: [],
    operations: [{ put: `${hostAlivePrefix}${first.id}`, value: {} }],
  });
  const states = async () => (await listHosts(context)).map(({ id, state }) => [id, state]);
  assert.deepEqual(await states(), [
    [first.id, 'up'],
    ['host-new', 'joining'],
  ]);
  await bed.store.txn({ compare: [], operations: [{ delete: `${hostAlivePrefix}${first.id}` }] });
  assert.deepEqual(await states(), [
    [first.id, 'silent'],
    ['host-new', 'joining'],
  ]);
  await bed.store.txn({ compare: [], operations: [{ delete: hostKey(first.id) }] });
  assert.deepEqual(await states(), [
    [first.id, 'joining'],
    ['host-new', 'joining'],
  ]);
});

test('a join token is made for whoever may call, and said among the events without its text', async () => {
  const answer = await bed.call('POST', '/hosts/join-tokens');
  assert.equal(answer.status, 201);
  assert.deepEqual(answer.body, { token: 'gantry-join-x', expiresAt: 1 });
  const events = await bed.ok<{ items: { type: string }[] }>('GET', '/events');
  assert.ok(events.items.some(({ type }) => type === 'host.joinToken'));
  assert.ok(!JSON.stringify(events).includes('gantry-join-'));
});
