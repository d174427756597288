// The cluster on one screen, as a person reads it.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ClusterView, HostDetail } from '#layer1/controller/client';
import { readBackup, writeBackup } from '#layer1/controller/wire';
import { FakeApi, hourAgo, now, TestHome } from './test-bed.ts';

let api: FakeApi;
let home: TestHome;
before(async () => {
  api = await FakeApi.start();
  home = new TestHome(api);
});
after(async () => {
  home.remove();
  await api.stop();
});

const machine = { address: '10.0.0.1', state: 'up', version: 'f00', roles: [], jobs: 4 };
const well: ClusterView = {
  at: now,
  machines: [
    { ...machine, id: 'host-1', name: 'eins', roles: ['store'], diskFreeBytes: 3 * 1024 ** 3 },
    { ...machine, id: 'host-2', name: 'zwei', roles: ['scheduler'] },
  ],
  store: { isAnswering: true, engine: 'embedded', message: 'the store on eins answers' },
  scheduler: { leader: 'zwei', commits: 12, conflicts: 1 },
  pending: [],
  short: [],
  certificates: [],
  versions: [{ version: 'f00', machines: ['eins', 'zwei'] }],
};

test('a cluster that is well is said to be, and ends with 0', async () => {
  api.on('GET /cluster', well);
  const { code, stdout } = await home.gantry(['cluster', 'status']);
  assert.equal(code, 0);
  assert.equal(
    stdout,
    `MACHINE  STATE  ADDRESS   ROLE       JOBS  DISK FREE  VERSION
eins     up     10.0.0.1  store      4     3 GiB      f00
zwei     up     10.0.0.1  scheduler  4                f00

Store      the store on eins answers
Scheduler  led by zwei
           12 commits, 1 decided again

Nothing waits, and nothing runs in too few copies.
`,
  );
  const json = await home.gantry(['cluster', '--json']);
  assert.deepEqual(JSON.parse(json.stdout), well);
});

test('what asks for a look is named, and ends with 1', async () => {
  const away =
    'the store on eins is away: nothing new is decided, and everything that runs goes on';
  const [eins, zwei] = well.machines;
  assert.ok(eins && zwei);
  const silent = { state: 'silent', silentForMs: 130_000, reason: 'its daemon is not heard of' };
  const view: ClusterView = {
    ...well,
    machines: [
      { ...eins, ...silent },
      { ...zwei, clockAheadMs: -300_000, isDrained: true },
    ],
    store: { ...well.store, isAnswering: false, message: away },
    scheduler: { commits: 0, conflicts: 0 },
    pending: [{ app: 'shop', name: 'web.2', reason: 'no host has room', since: now - 60_000 }],
    short: [{ app: 'shop', type: 'web', version: 3, wanted: 2, healthy: 1, reason: 'exit 1' }],
    certificates: [{ of: 'machine eins', endsAt: now + 3 * 86_400_000 }],
    versions: [...well.versions, { version: 'bar', machines: ['drei'] }],
  };
  api.on('GET /cluster', view);
  const { code, stdout } = await home.gantry(['cluster', 'status']);
  assert.equal(code, 1);
  for (const line of [
    /^eins +silent for 2 min .* its daemon is not heard of$/m,
    /^zwei +up, drained .* its clock is 5 min behind$/m,
    /^Store +the store on eins is away: nothing new is decided/m,
    /^Scheduler +nobody leads$/m,
    /^web of shop +1 of 2 +v3 +exit 1$/m,
    /^web\.2 of shop +1 min ago +no host has room$/m,
    /^The certificate of machine eins ends in 3 d\.$/m,
    /^Version bar runs on drei\.$/m,
  ])
    assert.match(stdout, line);
});

const drain = { since: now, by: 'ada' };
const held = { app: 'gantry', name: 'git-receiver.1', state: 'up', isStaying: true };
const drained: HostDetail = {
  id: 'host-1',
  name: 'eins',
  address: '10.0.0.1',
  state: 'up',
  jobs: 2,
  tags: {},
  drain: { ...drain, left: 0, bound: 1 },
  processes: [
    { ...held, id: 'job-1', volume: 'repositories' },
    { ...held, id: 'job-2', name: 'router.1' },
  ],
};
const web = { id: 'job-3', app: 'shop', name: 'web.1', state: 'up', isStaying: false };

test('a drain says what moves and when, and which processes stay with their volumes', async () => {
  const waitsFor = 'it waits for its turn: one of a process type moves at a time';
  const moving: HostDetail = {
    ...drained,
    drain: { ...drain, left: 1, bound: 1 },
    processes: [...drained.processes, { ...web, waitsFor }],
  };
  const looks = [moving, moving, drained];
  api.on('POST /hosts/eins/drain', moving);
  api.on('GET /hosts/host-1', () => looks.shift());
  const { code, stdout } = await home.gantry(['host', 'drain', 'eins']);
  assert.equal(
    stdout,
    `eins: draining, 1 process to leave
  shop web.1: it waits for its turn: one of a process type moves at a time
  shop web.1 has left eins
eins is drained
Volumes do not move, so these stay:
  gantry git-receiver.1 with its volume repositories
While eins is off they are away; they are back with it. gantry host remove eins --force
gives the volumes up for good: these processes then start elsewhere with empty ones.
`,
  );
  assert.equal(code, 0);
  const inspect =
    api.on('GET /hosts/eins', drained) && (await home.gantry(['host', 'inspect', 'eins']));
  assert.match(inspect.stdout, /^eins \(host-1\): up, drained but for 1$/m);
  assert.match(
    inspect.stdout,
    /^gantry +git-receiver\.1 +up +stays with its volume repositories$/m,
  );
  assert.match(inspect.stdout, /^gantry +router\.1 +up +stays: it runs on every machine$/m);
});

test('undrain says whether there was a drain', async () => {
  const { drain: _, ...free } = drained;
  api.on('DELETE /hosts/eins/drain', free);
  api.on('GET /hosts/eins', drained);
  const undrain = async () => (await home.gantry(['host', 'undrain', 'eins'])).stdout;
  assert.match(await undrain(), /^eins takes processes again; gantry rebalance moves some to it$/m);
  api.on('GET /hosts/eins', free);
  assert.match(await undrain(), /^eins was not being drained: it takes processes$/m);
});

const header = {
  gantry: 'backup' as const,
  format: 1,
  clusterId: 'cluster-1',
  hostId: 'host-1',
  incarnation: 'inc-1',
  revision: 7,
  createdAt: hourAgo,
  version: 'f00',
};
const entries = [{ key: 'controller/apps/app-1', value: { name: 'shop' }, createRevision: 3 }];

async function aBackup(): Promise<string> {
  let text = '';
  for await (const line of writeBackup(header, entries)) text += `${line}\n`;
  return text;
}

const read = (text: string) =>
  readBackup(
    (async function* () {
      yield text;
    })(),
  );

test('a backup is a file for its owner only, whole or not there', async () => {
  const backup = await aBackup();
  api.on('GET /cluster/backup', (_call: unknown, response: { end(text: string): void }) =>
    response.end(backup),
  );
  const file = join(home.folder, 'state.ndjson');
  const { code, stderr } = await home.gantry(['cluster', 'backup', file]);
  assert.deepEqual([code, statSync(file).mode & 0o777], [0, 0o600]);
  assert.match(stderr, /1 entries.*\nConfig values in it are sealed; the key is in .*keys/);
  assert.deepEqual((await read(readFileSync(file, 'utf8'))).entries, entries);
  const piped = await home.gantry(['cluster', 'backup']);
  assert.equal(piped.stdout, backup);
  api.on('GET /cluster/backup', (_call: unknown, response: { end(text: string): void }) =>
    response.end(backup.slice(0, -40)),
  );
  const broken = await home.gantry(['cluster', 'backup', `${file}.2`]);
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, /the backup broke off .*; nothing was written, try again/);
  assert.ok(!existsSync(`${file}.2`));
  api.on('GET /cluster/backup', (_call: unknown, response: { end(text: string): void }) =>
    response.end(backup),
  );
});

test('a backup with keys has those of this machine, and the API never gets them', async () => {
  const file = join(home.folder, 'keys.ndjson');
  const words = ['cluster', 'backup', '--with-keys', '--home', home.folder, file];
  assert.match((await home.gantry(words)).stderr, /as root on a machine of the cluster/);
  mkdirSync(join(home.folder, 'keys'));
  writeFileSync(join(home.folder, 'keys', 'seal.key'), 'secret');
  assert.equal((await home.gantry(words)).code, 0);
  const seal = Buffer.from('secret').toString('base64');
  assert.deepEqual((await read(readFileSync(file, 'utf8'))).keys, { 'seal.key': seal });
  const result = { createdAt: hourAgo, entries: 5, apps: ['shop'], forgotten: ['blog'] };
  api.on('POST /cluster/restore', result);
  const { code, stdout, stderr } = await home.gantry(['cluster', 'restore', file, '--yes']);
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /^the state of 2026-01-02 02:00:00Z \(1 h ago\) is back: 1 apps, 5 entries$/m,
  );
  assert.match(stderr, /blog is not in it: what runs of it runs on; gantry doctor names/);
  const sent = String(api.bodies('POST /cluster/restore').at(-1));
  assert.ok(!sent.includes(seal));
  assert.deepEqual((await read(sent)).entries, entries);
});

test('a restore asks first, and a file that is not whole is not sent', async () => {
  const file = join(home.folder, 'broken.ndjson');
  const backup = await aBackup();
  const calls = () => api.bodies('POST /cluster/restore').length;
  const before = calls();
  writeFileSync(file, backup);
  const unasked = await home.gantry(['cluster', 'restore', file]);
  assert.match(unasked.stderr, /without a terminal to ask at, say --yes/);
  writeFileSync(file, backup.slice(0, -5));
  const broken = await home.gantry(['cluster', 'restore', file, '--yes']);
  assert.notEqual(broken.code, 0);
  assert.match(broken.stderr, /no whole backup of Gantry/);
  assert.equal(calls(), before);
});
