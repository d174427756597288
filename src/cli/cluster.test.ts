// The cluster on one screen, as a person reads it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ClusterView } from '#layer1/controller/client';
import { FakeApi, now, TestHome } from './test-bed.ts';

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
  ...{ pending: [], short: [], certificates: [] },
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
      { ...zwei, clockAheadMs: -300_000 },
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
    /^zwei .* its clock is 5 min behind$/m,
    /^Store +the store on eins is away: nothing new is decided/m,
    /^Scheduler +nobody leads$/m,
    /^web of shop +1 of 2 +v3 +exit 1$/m,
    /^web\.2 of shop +1 min ago +no host has room$/m,
    /^The certificate of machine eins ends in 3 d\.$/m,
    /^Version bar runs on drei\.$/m,
  ])
    assert.match(stdout, line);
});
