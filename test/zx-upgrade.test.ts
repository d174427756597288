// Is a cluster brought to another version by script/up on one machine? Every machine's daemon follows, one after the other, under
// traffic and without a lost request; one that does not come up is put back, and old and new work beside each other.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { JobView } from '#layer1/controller/client';
import { Bed } from './cluster/bed.ts';
import { failuresOf, LoadApp, MixedLoad, requestsOf } from './cluster/load-app.ts';
import type { Machine } from './cluster/machine.ts';
import { checkout, Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';

const timeoutMs = 600_000;
/** The daemon's own entry: what is changed here is part of the system image, and run on every machine. */
const source = `${checkout}/bin/gantry-host.ts`;
const up = `cd ${checkout} && script/up`;

let platform: Platform;
let beside: Platform;
let first: Machine;
let second: Machine;
let both: Platform[];
let app: LoadApp;

before(async () => {
  const bed = await Bed.of(2);
  platform = bed.platform;
  first = platform.machine;
  second = bed.machines[1] ?? first;
  beside = new Platform(second);
  both = [platform, beside];
  await first.must(`cp ${source} /tmp/good-daemon`);
  app = await LoadApp.create(platform, 'upgrading', 4);
});

after(async () => {
  const isChanged = (await first.sh(`cmp -s ${source} /tmp/good-daemon`)).code !== 0;
  if (isChanged) await first.sh(`cp /tmp/good-daemon ${source} && ${up}`, { timeoutMs });
  await app?.close();
});

/** Of the daemon that runs there. */
async function versionAt({ machine }: Platform): Promise<string> {
  const format = '{{range .Config.Env}}{{println .}}{{end}}';
  const env = await machine.must(`docker inspect -f '${format}' gantry-host`);
  return /^GANTRY_VERSION=(.*)$/m.exec(env)?.[1] ?? '';
}

const containersOf = (name: string) => Promise.all(both.map((each) => each.containers(name)));

/** Traffic at both machines: nothing of it may fail, and no container of the app may notice. */
async function underLoad(action: () => Promise<void>): Promise<string> {
  const users = await containersOf(app.name);
  const loads = both.map(({ machine }) => new MixedLoad(machine.address, app.name));
  try {
    await action();
  } finally {
    await Promise.all(loads.map((load) => load.stop()));
  }
  const reports = (await Promise.all(loads.map((load) => load.stop()))).flat();
  assert.deepEqual(failuresOf(reports), []);
  assert.deepEqual(await containersOf(app.name), users);
  return `${requestsOf(reports)} requests, 0 failed`;
}

describe('an upgrade of two machines', () => {
  test('is one script/up: both daemons and the platform are replaced, no request is lost', async (t) => {
    const places = await Promise.all(
      both.map(async (each) => Object.keys(await each.containers(app.name)).length),
    );
    assert.deepEqual(places, [2, 2]);
    const before = await versionAt(platform);
    await first.must(`echo '// changed' >>${source}`);
    const said = await underLoad(async () => {
      const { code, stdout, stderr } = await first.sh(up, { timeoutMs });
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /bringing the other machines to this version/);
    });
    const [now, there] = await Promise.all(both.map(versionAt));
    assert.notEqual(now, before);
    assert.equal(there, now);
    for (const { machine } of both) {
      const names = await machine.must('docker ps -a --format {{.Names}}');
      assert.doesNotMatch(names, /gantry-(replace|host-before|dns-before)/);
    }
    t.diagnostic(said);
  });

  test('ends where a daemon does not come up: that one is put back, and old and new work together', async (t) => {
    const before = await versionAt(beside);
    await first.must(`sed -i '2i if (process.env.GANTRY_STORE_HOST) process.exit(3);' ${source}`);
    const said = await underLoad(async () => {
      const { code, stderr } = await first.sh(up, { timeoutMs });
      assert.equal(code, 1, stderr);
      assert.match(stderr, new RegExp(`${second.name} did not come to this version`));
      assert.match(stderr, /the one before it runs again/);
    });
    assert.equal(await versionAt(beside), before);
    assert.notEqual(await versionAt(platform), before);
    await platform.gantry('scale', 'web=6', '-a', app.name);
    const jobs = await platform.gantryJson<JobView[]>('ps', '-a', app.name);
    const places = Map.groupBy(
      jobs.filter(({ state }) => state === 'up'),
      ({ host }) => host,
    );
    assert.deepEqual(
      [...places.values()].map((there) => there.length),
      [3, 3],
    );
    t.diagnostic(said);
  });

  test('goes on with a version that works, also on a machine that was off meanwhile', async () => {
    await second.powerOff();
    await first.must(`cp /tmp/good-daemon ${source}`);
    const { code, stdout, stderr } = await first.sh(up, { timeoutMs });
    assert.equal(code, 0, stdout + stderr);
    const wanted = await versionAt(platform);
    await second.powerOn();
    await second.startDocker();
    await waitFor(
      'the machine that was off to follow',
      async () => {
        return (await versionAt(beside).catch(() => '')) === wanted;
      },
      { timeoutMs: 180_000 },
    );
  });
});
