// Which machines does the API show, and how does one more get in?

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { hostAliveKey, hostKey, hostSilentPrefix } from '#layer0/host/wire';
import { aJob, aSpec } from '#layer0/scheduler/fake';
import { type Job, jobKey } from '#layer0/scheduler/wire';
import type { HostDetail, HostView } from './api.ts';
import { listHosts } from './operations/hosts.ts';
import { TestBed } from './test-bed.ts';
import type { JobView } from './wire.ts';

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
  const observer = { allJobs: () => [], status: () => undefined };
  const context = { ...bed, membership, observer } as unknown as Parameters<typeof listHosts>[0];
  await bed.store.txn({
    compare: [],
    operations: [{ put: hostAliveKey(first.id), value: {} }],
  });
  const states = async () => (await listHosts(context)).map(({ id, state }) => [id, state]);
  assert.deepEqual(await states(), [
    [first.id, 'up'],
    ['host-new', 'joining'],
  ]);
  await bed.store.txn({ compare: [], operations: [{ delete: hostAliveKey(first.id) }] });
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

test('what runs on a machine that is not heard of is shown as what was heard last', async () => {
  await bed.deployShop();
  const { items } = await bed.ok<{ items: JobView[] }>('GET', '/apps/shop/jobs');
  const host = items[0]?.host ?? '';
  const states = async () => {
    const answer = await bed.ok<{ items: JobView[] }>('GET', '/apps/shop/jobs');
    return answer.items.map((job) => [job.state, job.isHealthy, job.isSilent, job.reason]);
  };
  const machine = { id: host, name: 'eins', address: '10.0.0.1', memoryBytes: 1, cpuMillis: 1 };
  const record = { put: hostKey(host), value: { ...machine, engineVersion: '1', version: 'a' } };
  const alive = { put: hostAliveKey(host), value: {} };
  await bed.store.txn({ compare: [], operations: [record, alive] });
  assert.deepEqual(await states(), [['up', true, undefined, undefined]]);
  await bed.store.txn({ compare: [], operations: [{ delete: hostAliveKey(host) }] });
  const reason = 'eins is silent, and this is what it said last; see gantry host list';
  assert.deepEqual(await states(), [['up', false, true, reason]]);
});

test('a machine that two others do not hear is silent before its daemon counts as gone, and why is said', async () => {
  await twoMachines();
  const says = (watcher: string) => ({
    put: `${hostSilentPrefix}${watcher}`,
    value: { hosts: ['h2'] },
  });
  const second = async () =>
    (await bed.ok<{ items: HostView[] }>('GET', '/hosts')).items.find(({ id }) => id === 'h2');
  await bed.store.txn({ compare: [], operations: [says('host-a')] });
  assert.equal((await second())?.state, 'up', 'one alone may be the one that is cut off');
  await bed.store.txn({ compare: [], operations: [says('h3')] });
  const { state, reason } = (await second()) ?? {};
  assert.equal(state, 'silent');
  assert.match(reason ?? '', /does not answer h3, name-host-a: is it on/);
});

test('a join token is made for whoever may call, and said among the events without its text', async () => {
  const answer = await bed.call('POST', '/hosts/join-tokens');
  assert.equal(answer.status, 201);
  assert.deepEqual(answer.body, { token: 'gantry-join-x', expiresAt: 1 });
  const events = await bed.ok<{ items: { type: string }[] }>('GET', '/events');
  assert.ok(events.items.some(({ type }) => type === 'host.joinToken'));
  assert.ok(!JSON.stringify(events).includes('gantry-join-'));
});

/** Two machines, of which the first has the store; `here` are jobs. */
async function twoMachines(...here: Partial<Job>[]): Promise<void> {
  const machine = { engineVersion: '1', version: 'a', memoryBytes: 1, cpuMillis: 1 };
  const hosts = ['host-a', 'h2'].flatMap((id) => [
    { put: hostKey(id), value: { ...machine, id, name: `name-${id}`, address: '10.0.0.1' } },
    { put: hostAliveKey(id), value: {} },
  ]);
  const jobs = here.map((change) => aJob({ app: 'app-x', ...change }));
  const operations = [...hosts, ...jobs.map((value) => ({ put: jobKey(value.id), value }))];
  await bed.store.txn({ compare: [], operations });
  const seen = async () => {
    const { items } = await bed.ok<{ items: HostView[] }>('GET', '/hosts');
    return items.reduce((sum, { jobs: count }) => sum + count, 0);
  };
  while ((await seen()) < here.length) await new Promise((resolve) => setImmediate(resolve));
}

test('tags are set and taken away by name, and the id of a machine is no tag to change', async () => {
  await twoMachines();
  const change = (tags: Record<string, string | null>) =>
    bed.ok<HostDetail>('PATCH', '/hosts/name-h2/tags', { tags });
  assert.deepEqual((await change({ disk: 'ssd', zone: 'a' })).tags, { disk: 'ssd', zone: 'a' });
  assert.deepEqual((await change({ disk: null })).tags, { zone: 'a' });
  const own = await bed.call('PATCH', '/hosts/h2/tags', { tags: { 'host.id': 'x' } });
  assert.equal(own.status, 409);
  assert.equal((await bed.call('PATCH', '/hosts/h9/tags', { tags: {} })).status, 404);
});

const volume = { volume: 'repositories', path: '/data', isReadOnly: false };
const withVolume = aSpec({ mounts: [volume] });

test('a drain says of each process why it is still there', async () => {
  await twoMachines(
    { id: 'job-moves', index: 1, host: 'h2' },
    { id: 'job-comes', index: 2, host: 'host-a', replaces: { job: 'job-moves', because: 'drain' } },
    { id: 'job-next', index: 3, host: 'h2' },
    { id: 'job-stuck', index: 4, host: 'h2', moveReason: 'not enough memory' },
    { id: 'job-agent', type: 'agent', host: 'h2', isOnePerHost: true },
    { id: 'job-once', type: 'run', kind: 'ephemeral', host: 'h2' },
    { id: 'job-git', type: 'zgit', host: 'h2', spec: withVolume },
  );
  const { drain, processes } = await bed.ok<HostDetail>('POST', '/hosts/h2/drain');
  assert.deepEqual([drain?.by, drain?.left, drain?.bound], ['ada', 4, 1]);
  assert.deepEqual(
    processes.map(({ id, isStaying, waitsFor }) => [id, isStaying, waitsFor]),
    [
      ['job-agent', true, undefined],
      ['job-once', false, 'a one-off: it runs to its end'],
      [
        'job-moves',
        false,
        'web.2 on name-host-a takes its place when it is healthy; that one is placed',
      ],
      ['job-next', false, 'it waits for its turn: one of a process type moves at a time'],
      ['job-stuck', false, 'it has no other place: not enough memory'],
      ['job-git', true, undefined],
    ],
  );
  assert.equal(processes.at(-1)?.volume, 'repositories');
  assert.equal((await bed.ok<HostDetail>('DELETE', '/hosts/h2/drain')).drain, undefined);
});

test('a drained machine is removed with what has a volume there only by force, and that is said', async () => {
  await twoMachines({ id: 'job-git', host: 'h2', spec: withVolume });
  await bed.ok('POST', '/hosts/h2/drain');
  const refused = await bed.call('DELETE', '/hosts/h2');
  assert.equal(refused.status, 409);
  assert.match(refused.text, /h2 is drained, but .* web\.1 has its volume repositories there/);
  await bed.ok('DELETE', '/hosts/h2?force=true');
});

test('a machine that is alive is removed only when it is drained or by force, the one with the store never', async () => {
  await twoMachines({ id: 'job-1', host: 'h2' });
  const refused = await bed.call('DELETE', '/hosts/h2');
  assert.equal(refused.status, 409);
  assert.match(refused.text, /name-h2 is alive and runs 1 process: drain it first/);
  await bed.ok('POST', '/hosts/h2/drain');
  assert.match((await bed.call('DELETE', '/hosts/h2')).text, /still being drained: 1 process left/);
  await bed.ok('DELETE', '/hosts/h2?force=true');
  await bed.store.txn({ compare: [], operations: [{ delete: hostAliveKey('h2') }] });
  await bed.ok('DELETE', '/hosts/h2');
  assert.match(
    (await bed.call('DELETE', '/hosts/host-a?force=true')).text,
    /has the store of the whole/,
  );
});
