// The store of a live cluster of three moves to etcd, and nobody notices. Then the machine that leads the store loses power, and
// the cluster goes on; then two of three do, and what runs goes on; then a backup is restored. Runs late: there is no way back to
// one machine.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Bed, gantryAt } from './cluster/bed.ts';
import { connectApi, LoadApp } from './cluster/load-app.ts';
import type { Machine } from './cluster/machine.ts';
import { Platform } from './cluster/platform.ts';
import { boundMs, Traffic } from './cluster/traffic.ts';
import { waitFor } from './cluster/wait.ts';
import { startLoad } from './load/client.ts';

const platform = Platform.connect();
const name = 'lasting';
const instances = 6;
/** Made after the backup that is restored. */
const since = 'since';
const backup = '/root/lasting.ndjson';
/** Until a survivor decides again: a lease of 10 s, a grace of 5, and the start of a controller on two busy cores. */
const decidesMs = 120_000;
/** Past lease and grace: whoever was to be given up has been. */
const longAwayMs = 20_000;

let bed: Bed;
let app: LoadApp;

before(async () => {
  bed = await Bed.of(3);
  app = await LoadApp.create(platform, name, instances);
});

after(async () => {
  for (const machine of bed.machines.filter(({ isOn }) => !isOn)) await machine.boot();
  for (const one of [name, since]) await platform.deleteApp(one);
  const ofSince = `docker ps -aq --filter label=gantry.app-name=${since}`;
  for (const machine of bed.machines)
    await machine.sh(`rm -f ${backup}; ${ofSince} | xargs -r docker rm -f`);
});

/** What runs, by container and since when, a line each. */
async function running(machines: readonly Machine[] = bed.machines): Promise<string> {
  const list = 'docker ps -q --no-trunc --filter label=gantry.job';
  const format = '{{.Id}} {{.State.StartedAt}} {{.Name}}';
  const show = (machine: Machine) =>
    machine.must(`${list} | xargs -r docker inspect -f '${format}' | sort`);
  return (await Promise.all(machines.map(show))).join('');
}

/** Others may have been started beside them. */
function assertUntouched(earlier: string, now: string): void {
  const lines = now.split('\n');
  assert.deepEqual(
    earlier.split('\n').filter((line) => !lines.includes(line)),
    [],
  );
}

async function untilHealthy(): Promise<void> {
  let seen: unknown;
  const isWhole = async () => {
    seen = await app.api.readStore().catch((error: Error) => error.message);
    return typeof seen === 'object' && (seen as { health: string }).health === 'healthy';
  };
  await waitFor('all copies to answer', isWhole, { timeoutMs: 180_000, seen: () => seen });
  await bed.untilAllUp();
}

const load = (machine: Machine) =>
  startLoad({
    address: machine.address,
    port: 80,
    host: `${name}.gantry.localhost`,
    mode: 'close',
    clients: 2,
    pauseMs: 20,
  });

describe('a store on three machines', () => {
  test('is reached from one while everything runs: no request fails, no container is touched', async (t) => {
    const earlier = await running();
    const loads = bed.machines.map(load);
    const { engine } = await app.api.readStore();
    if (engine === 'etcd') t.diagnostic('a run before has moved it');
    else
      assert.match(
        await platform.gantry('cluster', 'ha'),
        /The store is on three machines: 3 of 3/,
      );
    await app.api.scale(name, { web: instances });
    for (const one of loads) {
      const { failed, examples, requests } = await one.stop();
      assert.ok(engine === 'etcd' || requests > 20, `${requests} requests`);
      assert.equal(failed, 0, examples.join('\n'));
    }
    assert.equal(await running(), earlier);
    const again = await platform.tryGantry('cluster', 'ha');
    assert.equal(again.code, 1);
    assert.match(again.stderr, /on etcd already/);
  });

  test('is known to every machine, and survives its daemon', async () => {
    for (const machine of bed.machines) {
      const seen = () => machine.sh('cat /var/lib/gantry/etcd.json');
      await waitFor(`${machine.name} to know`, async () => (await seen()).code === 0);
    }
    const [, second] = bed.machines as [Machine, Machine];
    await second.must('docker restart gantry-host');
    await bed.untilAllUp();
    const { health, members } = await app.api.readStore();
    assert.deepEqual([health, members.length], ['healthy', 3]);
  });

  test('goes on when the machine that leads it loses power, and is whole when that is back', async (t) => {
    const { members } = await app.api.readStore();
    const leader = members.find(({ isLeader }) => isLeader)?.hostId;
    const lost = bed.machines.find((machine) => bed.hostId(machine) === leader);
    const survivor = bed.machines.find((machine) => machine !== lost);
    assert.ok(lost && survivor);
    const begunAt = performance.now();
    const since = () => `${((performance.now() - begunAt) / 1000).toFixed(1)} s`;
    await lost.powerOff();
    const there = new Platform(survivor);
    const ask = () =>
      there.ask(name).then(
        ({ status }) => status === 200,
        () => false,
      );
    await waitFor('the app to answer at a survivor', ask, { timeoutMs: 10_000, everyMs: 50 });
    t.diagnostic(`the app answered after ${since()}`);

    const api = await connectApi(platform, survivor);
    const decides = async () => {
      await api.scale(name, { web: instances + 1 });
      return true;
    };
    let said = '';
    const tried = () =>
      decides().catch((error: Error) => {
        said = error.message;
        return false;
      });
    await waitFor('the API to decide again', tried, { timeoutMs: decidesMs, seen: () => said });
    t.diagnostic(`the API decided again after ${since()}`);
    const { health, summary } = await api.readStore();
    assert.deepEqual([health, /away: /.test(summary)], ['degraded', true], summary);
    api.close();

    await lost.boot();
    await untilHealthy();
  });

  test('says that it has no quorum when two of them are off; all goes on, and is untouched when they are back', async (t) => {
    const voters = (await app.api.readStore()).members.map(({ hostId }) => hostId);
    const hasApi = async (machine: Machine) =>
      (await machine.must('docker ps')).includes('-gantry-controller-');
    const copies = bed.machines.filter((machine) => voters.includes(bed.hostId(machine)));
    const [survivor] = await filtered(copies, hasApi);
    assert.ok(survivor);
    const off = copies.filter((machine) => machine !== survivor);
    const left = bed.machines.filter((machine) => !off.includes(machine));
    const earlier = await running(left);
    const traffic = new Traffic(left, name);
    await waitFor('the traffic to be on', () => traffic.requests > 100);
    const beganMs = performance.now();
    await Promise.all(off.map((machine) => machine.powerOff()));

    const gantry = gantryAt(survivor);
    let status = { code: 0, stdout: '', stderr: '' };
    // On a busy machine the copy that is there may be late with its answer, too.
    const isSaid = async () => {
      status = await gantry('cluster status');
      const away = status.stdout.match(/\(away\)/g)?.length;
      return /nothing new is decided/.test(status.stdout) && away === off.length;
    };
    await waitFor('the status to say it', isSaid, { timeoutMs: 60_000, seen: () => status });
    t.diagnostic(`said after ${Math.round(performance.now() - beganMs)} ms`);
    assert.equal(status.code, 1);
    assert.match((await gantry('doctor')).stdout, /nothing new is decided, everything that runs/);
    const refused = await gantry(`scale web=${instances + 3} -a ${name}`);
    assert.equal(refused.code === 0, false, refused.stdout);
    t.diagnostic(`a wish was refused: ${refused.stderr.trim()}`);
    const isLong = () => performance.now() - beganMs > longAwayMs;
    await waitFor('lease and grace to be over', isLong, { timeoutMs: 2 * longAwayMs });
    assertUntouched(earlier, await running(left));
    assert.deepEqual(traffic.failed(left, beganMs + boundMs, Infinity), []);

    await Promise.all(off.map((machine) => machine.boot()));
    await untilHealthy();
    const areUp = async () => {
      const jobs = await app.api.listJobs(name).catch(() => []);
      return jobs.filter(({ state, isHealthy }) => state === 'up' && isHealthy).length > instances;
    };
    await waitFor('every instance to be up', areUp, { timeoutMs: 120_000 });
    assertUntouched(earlier, await running(left));
    await traffic.stop();
    assert.deepEqual(traffic.failed(left, beganMs + boundMs, Infinity), []);
  });

  test('is restored to what it was, and no running container is removed', async () => {
    await platform.gantry('cluster', 'backup', backup);
    const newer = await LoadApp.create(platform, since, 2);
    newer.api.close();
    const earlier = await running();
    const said = await platform.tryGantry('cluster', 'restore', backup, '--yes');
    assert.equal(said.code, 0, said.stderr);
    const isGone = async () => {
      const { code, stdout } = await platform.tryGantry('apps');
      return code === 0 && !new RegExp(`^${since} `, 'm').test(stdout);
    };
    await waitFor(`${since} to be no app any more`, isGone);
    await untilHealthy();
    assertUntouched(earlier, await running());
    await platform.untilAnswers(name);
  });
});

async function filtered<T>(from: readonly T[], is: (one: T) => Promise<boolean>): Promise<T[]> {
  const verdicts = await Promise.all(from.map(is));
  return from.filter((_, place) => verdicts[place]);
}
