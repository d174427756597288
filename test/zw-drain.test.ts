// What an operator does with a machine of two: drain and undrain it under traffic, cut it off, take it out after it died.
// Does anyone notice, does a singleton ever run twice, and what is left of the machine in the end?

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { systemClock } from '#core/clock';
import { silentLog } from '#core/log';
import { systemRandom } from '#core/random';
import { createRemoteStore, listAll } from '#layer0/store/client';
import type { HostDetail, JobView } from '#layer1/controller/client';
import { Bed } from './cluster/bed.ts';
import { connectApi, failuresOf, LoadApp, MixedLoad, requestsOf } from './cluster/load-app.ts';
import type { Machine } from './cluster/machine.ts';
import { Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();
const { machine: first } = platform;
let bed: Bed;
let second: Machine;
let id: string;

before(async () => {
  bed = await Bed.of(2);
  second = bed.machines[1] ?? assert.fail('there is no second machine');
  id = bed.hostId(second);
});

after(async () => {
  await platform.tryGantry('host', 'undrain', id);
});

const runningOn = async (app: string) =>
  (await platform.gantryJson<JobView[]>('ps', '-a', app)).filter(({ state }) => state === 'up');

describe('a singleton', () => {
  const app = 'solo';
  after(async () => {
    await second.thaw();
    for (const machine of [first, second])
      await platform.tryGantry('host', 'tag', 'rm', bed.hostId(machine), 'role');
    await platform.deleteApp(app);
  });

  test('ends on a machine whose daemon stands still before another one starts it', async (t) => {
    const api = await connectApi(platform);
    await platform.gantry('host', 'tag', 'set', id, 'role=solo');
    await api.createApp({ name: app });
    const constraints = [{ tag: 'role', operator: 'in' as const, values: ['solo'] }];
    await api.changeApp(app, { placements: { worker: { count: 'singleton', constraints } } });
    await api.scale(app, { worker: 1 });
    const processes = { worker: { entrypoint: ['sleep', '1000000'] } };
    await api.deploy(app, { image: 'gantry/stack:latest', processes });
    await waitFor(
      'it to run on the second machine',
      async () => (await countOn(second, app)) === 1,
      {
        timeoutMs: 300_000,
      },
    );
    await platform.gantry('host', 'tag', 'set', bed.hostId(first), 'role=solo');
    await second.freeze({ container: 'gantry-host' });
    let most = 0;
    const moved = async () => {
      const counts = await Promise.all([countOn(first, app), countOn(second, app)]);
      most = Math.max(most, counts[0] + counts[1]);
      return counts[0] === 1;
    };
    const since = performance.now();
    await waitFor('it to run on the first machine', moved, { timeoutMs: 120_000, everyMs: 100 });
    t.diagnostic(`elsewhere after ${Math.round((performance.now() - since) / 1000)} s`);
    assert.equal(most, 1, 'never two at once');
    await second.thaw();
    await bed.untilAllUp();
    assert.deepEqual([await countOn(first, app), await countOn(second, app)], [1, 0]);
  });
});

/** Containers of the app that run on a machine. */
async function countOn(machine: Machine, app: string): Promise<number> {
  const { stdout } = await machine.sh(`docker ps -q --filter label=gantry.app-name=${app} | wc -l`);
  return Number(stdout);
}

describe('a drain under traffic', () => {
  let app: LoadApp;
  let load: MixedLoad | undefined;
  before(async () => {
    app = await LoadApp.create(platform, 'moved', 4);
  });
  afterEach(() => load?.stop());
  after(() => app?.close());

  test('moves every process with no failed request, gives the machine none, and can be undone', async (t) => {
    load = new MixedLoad(first.address, app.name);
    await waitFor('the load to be on', () => (load?.answersOf('v1') ?? 0) > 50);
    assert.ok(
      (await runningOn(app.name)).some(({ host }) => host === id),
      'some run there',
    );
    const said = await platform.gantry('host', 'drain', id);
    assert.match(said, /is drained/);
    t.diagnostic(said);
    const moved = await runningOn(app.name);
    assert.deepEqual([moved.length, moved.filter(({ host }) => host === id).length], [4, 0]);
    const { drain, processes } = await platform.gantryJson<HostDetail>('host', 'inspect', id);
    assert.equal(drain?.left, 0);
    assert.ok(processes.every(({ isStaying }) => isStaying));
    await platform.gantry('scale', 'web=5', '-a', app.name);
    assert.ok((await runningOn(app.name)).every(({ host }) => host !== id));
    await platform.gantry('host', 'undrain', id);
    await platform.gantry('rebalance', '-a', app.name);
    await waitFor('two of five to run there again', async () => {
      const jobs = await runningOn(app.name);
      return jobs.length === 5 && jobs.filter(({ host }) => host === id).length === 2;
    });
    const reports = await load.stop();
    assert.deepEqual(failuresOf(reports), []);
    t.diagnostic(`${requestsOf(reports)} requests, 0 failed`);
  });
});

describe('a machine that died', () => {
  test('is removed from another one, and nothing of it is left', async () => {
    const alive = await platform.tryGantry('host', 'remove', id);
    assert.equal(alive.code, 1);
    assert.match(alive.stderr, /is alive and runs .*: drain it first/);
    await second.powerOff();
    await waitFor('it to be silent', async () =>
      (await bed.hosts()).some((host) => host.id === id && host.state === 'silent'),
    );
    await platform.gantry('host', 'remove', id);
    assert.deepEqual(
      (await bed.hosts()).map((host) => host.id),
      [bed.hostId(first)],
    );
    let left: string[] = [];
    const isGone = async () => {
      left = await namesOf(id);
      return left.length === 0;
    };
    await waitFor('its records to be gone', isGone, { seen: () => left });
    const devices = await first.must(
      `ip -d link | grep -c vxlan || true; bridge fdb | grep -c ${second.address} || true`,
    );
    assert.deepEqual(devices.trim().split('\n'), ['0', '0']);
  });

  test('is refused when it comes back, and its log says why', async () => {
    // Somebody is expected: a machine that is alone listens to no other.
    await platform.gantry('host', 'join-token');
    await second.boot();
    const log = 'docker logs --since 5m gantry-host 2>&1';
    await waitFor('its log to say so', async () =>
      (await second.sh(log)).stdout.includes('membership.removed'),
    );
    assert.deepEqual(
      (await bed.hosts()).map((host) => host.id),
      [bed.hostId(first)],
    );
    await second.destroy();
  });
});

/** Keys of the store that name a host, or whose value does. History, and the stone that keeps it out, may. */
async function namesOf(host: string): Promise<string[]> {
  const baseUrl = `unix:${join(first.root, 'var/lib/gantry/run/host.sock')}`;
  const deps = { clock: systemClock, random: systemRandom, log: silentLog };
  const store = createRemoteStore({ baseUrl, ...deps });
  try {
    const entries = await listAll<unknown>(store, '');
    return entries.flatMap(({ key, value }) => {
      const isHistory =
        key.startsWith('controller/events/') || key.startsWith('membership/tokens/');
      const isFreed = (value as { freedAt?: number }).freedAt !== undefined;
      if (isHistory || isFreed || key === `membership/removed/${host}`) return [];
      return `${key} ${JSON.stringify(value)}`.includes(host) ? [key] : [];
    });
  } finally {
    await store.close();
  }
}
