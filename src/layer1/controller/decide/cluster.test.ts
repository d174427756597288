// What the cluster looks like on one screen, and what doctor says of its machines.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HostReport, JobStatus, MemberReport } from '#layer0/host/wire';
import type { Formation, Job } from '#layer0/scheduler/wire';
import type { HostView } from '../api.ts';
import { type ClusterSeen, viewCluster } from './cluster.ts';
import { checkMachines } from './machine-checks.ts';

const day = 86_400_000;
const now = 1_000 * day;

function aMember(name: string, report: HostReport = {}, more = {}): MemberReport {
  return { hostId: `host-${name}`, name, address: `10.0.0.${name.length}`, report, ...more };
}

function aHost(name: string, change: Partial<HostView> = {}): HostView {
  const address = `10.0.0.${name.length}`;
  return { id: `host-${name}`, name, address, state: 'up', jobs: 1, tags: {}, ...change };
}

function aJob(change: Partial<Job> = {}): Job {
  const spec = { network: 'app' } as Job['spec'];
  return {
    id: 'job-1',
    kind: 'service',
    app: 'app-1',
    appName: 'shop',
    release: 'rel-1',
    releaseVersion: 1,
    type: 'web',
    index: 1,
    spec,
    priority: 0,
    placement: 'spread',
    desired: 'up',
    createdAt: now,
    host: 'host-eins',
    ...change,
  } as Job;
}

function aFormation(quantity: number, isOnePerHost = false): Formation {
  const processes = { web: { quantity, isOnePerHost, placement: 'spread' } };
  const names = { app: 'app-1', appName: 'shop', release: 'rel-1', releaseVersion: 1 };
  return { ...names, priority: 0, processes } as unknown as Formation;
}

const healthy = (id: string): JobStatus => ({ jobId: id, isHealthy: true }) as JobStatus;

function look(change: Partial<ClusterSeen> = {}) {
  return viewCluster({
    now,
    hosts: [aHost('eins')],
    reports: [aMember('eins')],
    silentFor: new Map(),
    formations: [],
    jobs: [],
    certificates: [],
    status: healthy,
    ...change,
  });
}

describe('the view of the cluster', () => {
  test('says who has the store and who leads', () => {
    const scheduler = {
      schedulers: [{ name: 'service', isLeader: true, commits: 3, conflicts: 1 }],
    };
    const store = { historyBytes: 1, revision: 7, incarnation: 'inc-1' };
    const remote = { engine: 'remote', host: 'host-eins' };
    const reports = [aMember('zwei', { store: remote, scheduler }), aMember('eins', { store })];
    const view = look({ hosts: [aHost('eins'), aHost('zwei')], reports });
    assert.deepEqual(
      view.machines.map(({ name, roles }) => [name, roles]),
      [
        ['eins', ['store']],
        ['zwei', ['scheduler']],
      ],
    );
    assert.deepEqual(view.scheduler, { leader: 'zwei', commits: 3, conflicts: 1 });
    const { isAnswering, engine, host, revision } = view.store;
    assert.deepEqual([isAnswering, engine, host, revision], [true, 'embedded', 'eins', 7]);
  });

  test('shows the copies of a store on etcd: who leads, who is away, and whether there is a quorum', () => {
    const member = (hostId: string, isReachable: boolean, isLeader = false) => {
      return { hostId, url: '', isReachable, isLeader, isLearner: false, dbBytes: 1 };
    };
    const [eins, zwei] = [aMember('eins', { store: { endpoints: [] } }), aMember('zwei', {})];
    const members = [member(eins.hostId, true, true), member(zwei.hostId, false)];
    const move = { state: 'idle' as const };
    const ha = { engine: 'etcd' as const, members, move };
    const degraded = { ...ha, health: 'degraded' as const, summary: '1 of 2' };
    const { store, machines } = look({ reports: [eins, zwei], ha: degraded });
    assert.deepEqual(store.members, ['eins (leads, 0.0 MiB)', 'zwei (away)']);
    assert.deepEqual(
      [store.engine, store.health, store.message],
      ['etcd', 'degraded', 'etcd: 1 of 2'],
    );
    assert.ok(machines.every(({ roles }) => roles.includes('store')));
    const summary = 'no quorum: 1 of 2; away: zwei: nothing new is decided, everything runs on';
    const lost = { ...ha, health: 'no-quorum' as const, summary };
    const storeError = 'Range at https://192.0.2.2:7444: connect ECONNREFUSED';
    const away = look({ reports: [eins, zwei], ha: lost, storeError }).store;
    assert.deepEqual([away.isAnswering, away.message], [false, `etcd: ${summary}`]);
  });

  test('says plainly that the store is away, and shows the machines by what they answer', () => {
    const remote = { engine: 'remote', host: 'host-eins' };
    const silent = { ...aMember('eins'), error: 'no answer' };
    delete silent.report;
    const reports = [aMember('zwei', { store: remote }), silent];
    const view = look({ hosts: undefined, reports, storeError: 'no answer within 3 s' });
    assert.match(view.store.message, /^the store on eins is away: nothing new is decided, and eve/);
    assert.deepEqual(
      view.machines.map(({ name, state }) => [name, state]),
      [
        ['zwei', 'up'],
        ['eins', 'silent'],
      ],
    );
  });

  test('says how long a machine has been away, where that was seen', () => {
    const hosts = [aHost('eins'), aHost('zwei', { state: 'silent', reason: 'not heard of' })];
    const view = look({ hosts, silentFor: new Map([['host-zwei', 61_000]]) });
    assert.equal(view.machines.find(({ name }) => name === 'zwei')?.silentForMs, 61_000);
  });

  test('names what waits with its reason, and what runs in too few copies', () => {
    const { host: _host, ...unplaced } = aJob({ id: 'job-2', index: 2 });
    const jobs = [aJob(), { ...unplaced, pendingReason: 'no host has 1 GiB free' }];
    const status = (id: string) => (id === 'job-1' ? healthy(id) : undefined);
    const view = look({ jobs, status, formations: [aFormation(2)] });
    assert.deepEqual(
      view.pending.map(({ name, reason }) => [name, reason]),
      [['web.2', 'no host has 1 GiB free']],
    );
    const [short] = view.short;
    assert.deepEqual(
      [short?.wanted, short?.healthy, short?.reason],
      [2, 1, view.pending[0]?.reason],
    );
    assert.deepEqual(look({ jobs: [aJob()], formations: [aFormation(1)] }).short, []);
  });

  test('wants one on each machine that is up, where a process type is one per host', () => {
    const hosts = [aHost('eins'), aHost('zwei'), aHost('drei', { state: 'silent' })];
    const [short] = look({ hosts, jobs: [aJob()], formations: [aFormation(1, true)] }).short;
    assert.deepEqual([short?.wanted, short?.healthy], [2, 1]);
  });

  test('names certificates near their end and versions that differ', () => {
    const reports = [
      aMember('eins', { version: 'a', certificateEndsAt: now + 60 * day }),
      aMember('zwei', { version: 'b', certificateEndsAt: now + 3 * day }),
    ];
    const certificates = [
      { domain: 'shop.example.com', expiresAt: now + 2 * day },
      { domain: 'far.example.com', expiresAt: now + 80 * day },
    ];
    const view = look({ hosts: [aHost('eins'), aHost('zwei')], reports, certificates });
    assert.deepEqual(
      view.certificates.map(({ of }) => of),
      ['machine zwei', 'shop.example.com'],
    );
    assert.deepEqual(view.versions, [
      { version: 'a', machines: ['eins'] },
      { version: 'b', machines: ['zwei'] },
    ]);
  });
});

describe('the checks of machines', () => {
  const failed = (
    reports: MemberReport[],
    seen: Partial<Parameters<typeof checkMachines>[0]> = {},
  ) =>
    checkMachines({ now, reports, hosts: [], jobs: [], status: () => undefined, ...seen })
      .filter(({ isOk }) => !isOk)
      .map(({ name, message }) => `${name}: ${message}`);

  test('find nothing where all is well, and nothing in what an older daemon does not say', () => {
    const disk = { freeBytes: 50e9, totalBytes: 100e9 };
    const well: HostReport = {
      version: 'a',
      disk,
      engine: { isAnswering: true },
      storeAnswer: { isAnswering: true },
      certificateEndsAt: now + 60 * day,
      failingLoops: [],
    };
    assert.deepEqual(failed([aMember('eins', well), aMember('zwei', { version: 'a' })]), []);
  });

  test('name the machine, and say what to do', () => {
    const sick: HostReport = {
      disk: { freeBytes: 1e6, totalBytes: 100e9 },
      certificateEndsAt: now + 2 * day,
      engine: { isAnswering: false, message: 'no answer within 2 s' },
      failingLoops: [{ name: 'network', message: 'no bridge' }],
      unknownContainers: { count: 3, names: ['gantry-shop-web-1'] },
    };
    const clock = { clockAheadMs: -300_000, roundTripMs: 4 };
    const found = failed([aMember('eins'), aMember('zwei', sick, clock)]);
    assert.deepEqual(
      found.map((line) => line.slice(0, line.indexOf(';') + 1)).sort(),
      [
        'certificates of machines are renewed: zwei: its certificate ends in 2 days and is not renewed;',
        'clocks agree: zwei: its clock is 300.0 s behind;',
        'disks have room: zwei: 1 MiB of its disk are free;',
        'every container has a record: zwei: gantry-shop-web-1 and 2 more: made under another store, so Gantry leaves them alone;',
        '',
        'the engine answers on every machine: zwei: Docker: no answer within 2 s;',
      ].sort(),
    );
    assert.ok(found.includes('nothing is tried in vain: zwei: network: no bridge'));
  });

  test('name the one of three whose clock differs from the others, also when it is the one that was asked', () => {
    const behind = { clockAheadMs: -300_000, roundTripMs: 4 };
    const [found = ''] = failed([
      aMember('eins'),
      aMember('zwei', {}, behind),
      aMember('drei', {}, behind),
    ]);
    assert.match(found, /^clocks agree: eins: its clock is 300.0 s ahead;/);
    assert.doesNotMatch(found, /zwei|drei/);
    const [other = ''] = failed([aMember('eins'), aMember('zwei'), aMember('drei', {}, behind)]);
    assert.match(other, /^clocks agree: drei: its clock is 300.0 s behind;/);
    assert.doesNotMatch(other, /eins|zwei/);
  });

  test('tell the first differences of tunnels that are not mended', () => {
    const overlay = { count: 3, commands: ['ip neigh replace a', 'bridge fdb replace b'] };
    const [found = ''] = failed([aMember('eins'), aMember('zwei', { overlay })]);
    assert.match(found, /^tunnels are as recorded: zwei: .*\(ip neigh replace a; .* and 1 more\)/);
    const none = { overlay: { count: 0, commands: [] } };
    assert.deepEqual(failed([aMember('eins', none)]), []);
  });

  test('name copies of the platform that one machine has, while another could have one', () => {
    const controller = { app: 'app-gantry', appName: 'gantry', type: 'controller' };
    const at = (host: string, index: number) =>
      aJob({ ...controller, id: `job-${index}`, index, host });
    const hosts = [aHost('eins'), aHost('zwei')];
    const together = [at('host-eins', 1), at('host-eins', 2)];
    const [found = ''] = failed([aMember('eins')], { hosts, jobs: together });
    assert.match(
      found,
      /all 2 of controller are on eins: .*`gantry rebalance -a gantry` moves one/,
    );
    const apart = [at('host-eins', 1), at('host-zwei', 2)];
    assert.deepEqual(failed([aMember('eins')], { hosts, jobs: apart }), []);
    assert.deepEqual(failed([aMember('eins')], { hosts: [aHost('eins')], jobs: together }), []);
  });

  test('do not take a slow answer for a clock that is off', () => {
    const slow = { clockAheadMs: 2_500, roundTripMs: 3_000 };
    assert.deepEqual(failed([aMember('eins'), aMember('zwei', {}, slow)]), []);
  });

  test('name a machine that does not answer, what it holds, and versions that differ', () => {
    const silent: MemberReport = {
      hostId: 'host-drei',
      name: 'drei',
      address: '10.0.0.3',
      error: 'cut',
    };
    const hosts = [aHost('eins'), aHost('drei', { state: 'silent' })];
    const reports = [aMember('eins', { version: 'a' }), aMember('zwei', { version: 'b' }), silent];
    const found = failed(reports, { hosts, jobs: [aJob({ host: 'host-drei' })] });
    assert.equal(found.length, 3);
    assert.match(found[0] ?? '', /^every machine answers: drei \(10\.0\.0\.3\): cut; is it on/);
    assert.match(found[1] ?? '', /a on eins; b on zwei/);
    assert.match(found[2] ?? '', /drei has web\.1 of shop;/);
  });

  test('name an address that two have, and an image that no machine has', () => {
    const status = (id: string): JobStatus | undefined =>
      id === 'job-3'
        ? ({
            state: 'failed',
            reason: 'the image sha256:x is on no machine that answers',
          } as JobStatus)
        : ({ state: 'up', address: '10.64.0.2' } as JobStatus);
    const jobs = [aJob(), aJob({ id: 'job-2', index: 2 }), aJob({ id: 'job-3', index: 3 })];
    const found = failed([aMember('eins')], { jobs, status });
    assert.match(found[0] ?? '', /twice: 10\.64\.0\.2: web\.1 of shop and web\.2 of shop/);
    assert.match(found[1] ?? '', /shop: web\.3 wait for an image that no machine has/);
  });
});
