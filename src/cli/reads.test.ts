// Every command that reads: what a person sees, and what a program gets.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type {
  App,
  AppView,
  Check,
  Deployment,
  Event,
  HostView,
  JobView,
  ReleaseView,
  Token,
} from '#layer1/controller/client';
import type { LogLine } from '#layer1/logs/wire';
import type { Route } from '#layer1/router/wire';
import { FakeApi, hourAgo, lines, now, TestHome } from './test-bed.ts';

const placements: App['placements'] = {
  web: {
    spreadBy: 'zone',
    constraints: [{ tag: 'disk', operator: 'in', values: ['ssd'] }],
    apart: [{ type: 'web', isRequired: false }],
  },
  worker: { count: 'singleton' },
};
const app: App = {
  id: 'app-1',
  name: 'shop',
  strategy: 'in-batches',
  batchSize: 2,
  currentRelease: 'rel-2',
  currentVersion: 2,
  quantities: { worker: 1, web: 2 },
  limits: { web: { memoryBytes: 1024 ** 3, cpuMillis: 500, pids: 512 } },
  isSystem: false,
  placements,
  isDeleting: false,
  createdAt: now - 3 * 86_400_000,
};
const view: AppView = {
  ...app,
  urls: ['http://shop.gantry.localhost/'],
  defaultLimits: { memoryBytes: 512 * 1024 ** 2, cpuMillis: 1000, pids: 512 },
};
const bare = {
  type: 'web',
  kind: 'service' as const,
  release: 'rel-2',
  version: 2,
  isHealthy: false,
  attempt: 1,
};
const jobs: JobView[] = [
  {
    ...bare,
    id: 'j1',
    name: 'web.1',
    hostName: 'eins',
    why: 'spread: where fewest of it and least else run',
    state: 'up',
    isHealthy: true,
    createdAt: hourAgo,
    startedAt: now - 90_000,
  },
  {
    ...bare,
    id: 'j2',
    name: 'web.2',
    state: 'failed',
    reason: 'exit 1; restart 4 in 8 s',
    createdAt: hourAgo,
    startedAt: now - 8_000,
    exitCode: 1,
  },
  {
    ...bare,
    id: 'j2b',
    name: 'web.3',
    hostName: 'zwei',
    state: 'up',
    isSilent: true,
    reason: 'zwei is silent, and this is what it said last; see gantry host list',
    createdAt: hourAgo,
    startedAt: hourAgo,
  },
  {
    ...bare,
    id: 'j3',
    name: 'worker.1',
    type: 'worker',
    state: 'pending',
    reason: 'no host has 99 GiB free',
    createdAt: hourAgo,
  },
  {
    ...bare,
    id: 'j4',
    name: 'run.1',
    type: 'run',
    kind: 'ephemeral',
    state: 'down',
    exitCode: 0,
    createdAt: hourAgo,
    startedAt: hourAgo,
    endedAt: now - 120_000,
  },
];
const release: ReleaseView = {
  id: 'rel-2',
  version: 2,
  imageId: 'sha256:abc',
  env: { B: '***', A: '***' },
  processes: { web: { command: ['node', 'server.js'], port: 3000 }, worker: {} },
  description: 'Deploy 3f2a9c1',
  commit: '3f2a9c1',
  createdBy: 'ada',
  createdAt: hourAgo,
  isCurrent: true,
  state: 'complete',
};
const releases: ReleaseView[] = [
  release,
  { ...release, id: 'rel-1', version: 1, isCurrent: false, state: 'failed', description: 'First' },
];
const deployments: Deployment[] = [
  {
    id: 'dep-2',
    app: 'app-1',
    oldRelease: 'rel-1',
    newRelease: 'rel-2',
    oldVersion: 1,
    newVersion: 2,
    strategy: 'one-by-one',
    batchSize: 1,
    state: 'complete',
    createdAt: hourAgo,
    endedAt: hourAgo + 14_000,
    progressAt: hourAgo,
  },
  {
    id: 'dep-1',
    app: 'app-1',
    newRelease: 'rel-1',
    newVersion: 1,
    strategy: 'one-by-one',
    batchSize: 1,
    state: 'failed',
    reason: 'web.1 exited with 1 three times',
    createdAt: hourAgo,
    endedAt: hourAgo + 120_000,
    progressAt: hourAgo,
  },
];
const plainRoute = {
  app: 'app-1',
  appName: 'shop',
  service: 'web.shop',
  sendsProxyProtocol: false,
  redirectsToHttps: false,
  isSystem: false,
  createdAt: hourAgo,
};
const routes: Route[] = [
  {
    ...plainRoute,
    id: 'rte-1',
    type: 'http',
    domain: 'shop.example.com',
    path: '/api',
    redirectsToHttps: true,
  },
  {
    ...plainRoute,
    id: 'rte-2',
    type: 'tcp',
    port: 5432,
    service: 'db.shop',
    sendsProxyProtocol: true,
  },
];
const certificates = [
  { domain: 'a.example.com', expiresAt: Date.parse('2026-01-12T03:00:00Z') },
  { domain: 'over.example.com', expiresAt: Date.parse('2026-01-01T00:00:00Z') },
];
const tokens: Token[] = [
  { id: 'tok-1', name: 'ada', createdAt: hourAgo },
  { id: 'tok-2', name: 'ci', createdAt: hourAgo },
];
const hosts: HostView[] = [
  {
    id: 'host-1',
    name: 'one',
    address: '10.0.0.1',
    state: 'up',
    version: 'abc',
    engineVersion: '26.1.5',
    memoryBytes: 8 * 1024 ** 3,
    cpuMillis: 4000,
    busyPercent: 12,
    jobs: 7,
    tags: {},
  },
  {
    id: 'host-2',
    name: 'two',
    address: '10.0.0.2',
    state: 'joining',
    jobs: 0,
    tags: {},
    reason: 'it was let in and has not registered: see what script/up --join says there',
  },
];
const checks: Check[] = [{ name: 'layer 0 answers', isOk: true, message: 'ok' }];
const events: Event[] = [
  {
    id: 7,
    time: hourAgo,
    app: 'app-1',
    type: 'deployment.complete',
    object: 'dep-2',
    message: 'shop: v2 is live',
  },
];
const logged: LogLine[] = [
  {
    time: '2026-01-02T02:59:59.123456789Z',
    app: 'app-1',
    type: 'web',
    instance: 'web.1',
    job: 'j1',
    stream: 'stdout',
    text: 'GET /',
    cursor: '1.40',
  },
  {
    time: '2026-01-02T02:59:59.5Z',
    app: 'app-1',
    type: 'web',
    instance: 'web.1',
    job: 'j1',
    stream: 'gantry',
    text: '12 KiB are missing',
    isGap: true,
    cursor: '1.80',
  },
];

let api: FakeApi;
let home: TestHome;
before(async () => {
  api = await FakeApi.start();
  home = new TestHome(api);
  api
    .on('GET /apps', {
      items: [
        app,
        { ...app, name: 'blog', quantities: {}, currentVersion: undefined, isDeleting: true },
        { ...app, name: 'wiki', quantities: {}, currentVersion: 1 },
      ],
    })
    .on('GET /apps/shop', view)
    .on('GET /apps/shop/jobs', { items: jobs })
    .on('GET /apps/gantry/jobs', { items: [jobs[0]] })
    .on('GET /apps/shop/formation', { quantities: app.quantities })
    .on('GET /apps/shop/env', { env: { B: '***', A: '***' } })
    .on('GET /apps/shop/env/A', { name: 'A', value: 'x=1' })
    .on('GET /apps/shop/releases', { items: releases })
    .on('GET /apps/shop/releases/2', release)
    .on('GET /apps/shop/deployments', { items: deployments })
    .on('GET /apps/shop/deployments/dep-1', deployments[1])
    .on('GET /apps/shop/routes', { items: routes })
    .on('GET /certificates', { items: certificates })
    .on('GET /hosts', { items: hosts })
    .on('GET /tokens', { items: tokens })
    .on('GET /whoami', { id: 'tok-1', name: 'ada' })
    .on('GET /status', { isLeader: true, hosts: 1 })
    .on('GET /doctor', { items: checks })
    .on('GET /events', { items: events })
    .on('GET /apps/shop/log', lines(...logged));
});
after(async () => {
  home.remove();
  await api.stop();
});

interface Golden {
  words: string[];
  text: string;
  note?: string;
  json: unknown;
}

const golden: Golden[] = [
  {
    words: ['apps'],
    text: `NAME          RELEASE  SCALE           CREATED
shop          v2       web=2 worker=1  3 d ago
blog (going)  -        -               3 d ago
wiki          v1       web=1           3 d ago
`,
    json: [
      app,
      { ...app, name: 'blog', quantities: {}, currentVersion: undefined, isDeleting: true },
      { ...app, name: 'wiki', quantities: {}, currentVersion: 1 },
    ],
  },
  {
    words: ['ps', '-a', 'shop'],
    text: `NAME      STATE       SINCE  RELEASE  HOST  REASON
web.1     up          1 min  v2       eins
web.2     failed      8 s    v2             exit 1; restart 4 in 8 s
web.3     up, silent  1 h    v2       zwei  zwei is silent, and this is what it said last; see gantry host list
worker.1  pending     1 h    v2             no host has 99 GiB free
`,
    note: '1 that ended not shown; gantry ps --all shows them\n',
    json: jobs,
  },
  {
    words: ['ps', '-a', 'shop', '--all'],
    text: `NAME      STATE       SINCE  RELEASE  HOST  REASON
web.1     up          1 min  v2       eins
web.2     failed      8 s    v2             exit 1; restart 4 in 8 s
web.3     up, silent  1 h    v2       zwei  zwei is silent, and this is what it said last; see gantry host list
worker.1  pending     1 h    v2             no host has 99 GiB free
run.1     down        2 min  v2             exit 0
`,
    json: jobs,
  },
  { words: ['scale', '-a', 'shop'], text: 'web=2 worker=1\n', json: app.quantities },
  {
    words: ['env', '-a', 'shop'],
    text: 'NAME  VALUE\nA     ***\nB     ***\n',
    json: { A: '***', B: '***' },
  },
  { words: ['env', 'get', 'A', '-a', 'shop'], text: 'x=1\n', json: { name: 'A', value: 'x=1' } },
  {
    words: ['release', '-a', 'shop'],
    text: `RELEASE  STATE    WHEN     BY   DESCRIPTION
v2       current  1 h ago  ada  Deploy 3f2a9c1
v1       failed   1 h ago  ada  First
`,
    json: releases,
  },
  {
    words: ['release', 'show', 'v2', '-a', 'shop'],
    text: `Release      v2 of shop
State        current
Description  Deploy 3f2a9c1
Made         1 h ago (2026-01-02 02:00:00Z) by ada
Commit       3f2a9c1
Image        sha256:abc
Config       A, B
Processes    web: node server.js (port 3000)
             worker: the image's own command
Id           rel-2
`,
    json: release,
  },
  {
    words: ['deployment', '-a', 'shop'],
    text: `ID     RELEASE   STATE     WHEN     TOOK   REASON
dep-2  v1 -> v2  complete  1 h ago  14 s
dep-1  v1        failed    1 h ago  2 min  web.1 exited with 1 three times
`,
    json: deployments,
  },
  {
    words: ['deployment', 'show', 'dep-1', '-a', 'shop'],
    text: `Deployment  dep-1
Release     v1
State       failed
Reason      web.1 exited with 1 three times
Strategy    one-by-one
Started     1 h ago (2026-01-02 02:00:00Z)
Took        2 min
Ended       2026-01-02 02:02:00Z
`,
    json: deployments[1],
  },
  {
    words: ['route', '-a', 'shop'],
    text: `ID     TYPE  FROM                  TO   NOTES
rte-1  http  shop.example.com/api  web  redirects to HTTPS
rte-2  tcp   port 5432             db   sends the PROXY protocol
`,
    json: routes,
  },
  {
    words: ['limit', '-a', 'shop'],
    text: `TYPE    MEMORY   CPU      PIDS
run     512 MiB  1 cpu    512   default, one-offs
web     1 GiB    0.5 cpu  512
worker  512 MiB  1 cpu    512   default
`,
    json: app.limits,
  },
  {
    words: ['placement', '-a', 'shop'],
    text: `TYPE    PLACEMENT
web     spread by zone, where disk=ssd, rather apart from web
worker  one at once
`,
    json: app.placements,
  },
  {
    words: ['strategy', '-a', 'shop'],
    text: 'shop: in-batches=2\n',
    json: { strategy: app.strategy, batchSize: app.batchSize },
  },
  { words: ['priority', '-a', 'shop'], text: 'shop: normal\n', json: { priority: 'normal' } },
  {
    words: ['certificate'],
    text: `DOMAIN            ENDS
a.example.com     2026-01-12  in 10 d
over.example.com  2026-01-01  is over
`,
    json: certificates,
  },
  {
    words: ['host', 'list'],
    text: `NAME  STATE    ADDRESS   JOBS  MEMORY  CPUS   BUSY  ENGINE  ID
one   up       10.0.0.1  7     8 GiB   4 cpu  12 %  26.1.5  host-1
two   joining  10.0.0.2  0                                  host-2  it was let in and has not registered: see what script/up --join says there
`,
    json: hosts,
  },
  {
    words: ['token'],
    text: `ID     NAME  MADE
tok-1  ada   1 h ago  this one
tok-2  ci    1 h ago
`,
    json: tokens,
  },
  {
    words: ['events', '-a', 'shop'],
    text: '2026-01-02 02:00:00Z  deployment.complete   shop: v2 is live\n',
    json: events,
  },
];

for (const { words, text, note = '', json } of golden) {
  test(`gantry ${words.join(' ')} is a table for people`, async () => {
    assert.deepEqual(await home.gantry(words), { code: 0, stdout: text, stderr: note });
  });
  test(`gantry ${words.join(' ')} --json is what the API said`, async () => {
    const { code, stdout, stderr } = await home.gantry([...words, '--json']);
    assert.deepEqual([code, stderr], [0, '']);
    assert.deepEqual(JSON.parse(stdout), JSON.parse(JSON.stringify(json)));
  });
}

test('info names the processes that are not well, and why', async () => {
  const { stdout } = await home.gantry(['info', '-a', 'shop']);
  assert.equal(
    stdout,
    `Name       shop
URL        http://shop.gantry.localhost/
Git        ${api.gitUrl}/shop.git
Release    v2, 1 h ago by ada: Deploy 3f2a9c1
Processes  web: 1 of 2 up
             web.2 failed: exit 1; restart 4 in 8 s
             web.3 up, silent: zwei is silent, and this is what it said last; see gantry host list
           worker: 0 of 1 up
             worker.1 pending: no host has 99 GiB free
Rollout    in batches of 2
Limits     web: memory 1 GiB, 0.5 cpu, 512 pids
Priority   normal
Created    3 d ago (2025-12-30 03:00:00Z)
Id         app-1
`,
  );
  const { stdout: json } = await home.gantry(['info', '-a', 'shop', '--json']);
  assert.equal((JSON.parse(json) as { jobs: unknown[] }).jobs.length, 5);
});

test('a log is lines with their time and process, and a gap looks like no line', async () => {
  const { stdout } = await home.gantry(['log', '-a', 'shop', '-t', 'web', '-n', '5']);
  assert.equal(
    stdout,
    `2026-01-02T02:59:59.123Z web.1 GET /
-- 2026-01-02T02:59:59.500Z web.1: 12 KiB are missing --
`,
  );
  assert.deepEqual(api.calls.at(-1)?.query, { type: 'web', lines: '5' });
  const raw = await home.gantry(['log', '-a', 'shop', '--raw']);
  assert.equal(raw.stdout.split('\n')[0], 'GET /');
  const json = await home.gantry(['log', '-a', 'shop', '--json']);
  assert.deepEqual(
    json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
    logged,
  );
});

test('status says which cluster, who, and that all is well', async () => {
  const { stdout, code } = await home.gantry(['status']);
  assert.equal(code, 0);
  assert.match(stdout, /^Cluster +local$/m);
  assert.match(stdout, /^You are +ada$/m);
  assert.match(stdout, /^Platform +1 process up$/m);
  assert.match(stdout, /^Checks +all well$/m);
});

test('doctor ends with 1 when a check failed, and shows which', async () => {
  assert.equal((await home.gantry(['doctor'])).code, 0);
  const bad = { name: 'a machine is alive', isOk: false, message: 'no host has a lease' };
  api.on('GET /doctor', { items: [...checks, bad] });
  const { code, stdout } = await home.gantry(['doctor']);
  assert.equal(code, 1);
  assert.match(stdout, /^a machine is alive +FAILED +no host has a lease$/m);
  const json = await home.gantry(['doctor', '--json']);
  assert.equal(json.code, 1);
  assert.equal((JSON.parse(json.stdout) as Check[]).length, 4);
});

test('version and help need no cluster', async () => {
  const env = { GANTRY_CONFIG: '/nonexistent' };
  assert.match(
    (await home.gantry(['--version'], { env })).stdout,
    /^gantry \d+\.\d+\.\d+ \(node v/,
  );
  const { stdout } = await home.gantry([], { env });
  assert.match(stdout, /^ {4}5 {2}the API cannot be reached$/m);
  assert.match(
    (await home.gantry(['help', 'env:set'], { env })).stdout,
    /^usage: gantry env set NAME=VALUE/,
  );
});
