// The store of a live cluster of three moves to etcd, and nobody notices; then the machine that leads the store loses power, and
// the cluster goes on. Runs late: there is no way back to one machine.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Bed } from './cluster/bed.ts';
import { connectApi, LoadApp } from './cluster/load-app.ts';
import type { Machine } from './cluster/machine.ts';
import { Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';
import { startLoad } from './load/client.ts';

const platform = Platform.connect();
const name = 'lasting';
const instances = 6;
/** Until a survivor decides again: a lease of 10 s, a grace of 5, and the start of a controller on two busy cores. */
const decidesMs = 120_000;

let bed: Bed;
let app: LoadApp;

before(async () => {
  bed = await Bed.of(3);
  app = await LoadApp.create(platform, name, instances);
});

after(async () => {
  for (const machine of bed.machines.filter(({ isOn }) => !isOn)) {
    await machine.powerOn();
    await machine.startDocker();
  }
  await platform.deleteApp(name);
});

/** What runs, by container: the same text means that nothing was touched. */
async function running(): Promise<string> {
  const format = '{{.ID}} {{.Names}}';
  const list = (machine: Machine) =>
    machine.must(`docker ps --filter label=gantry.job --format '${format}' | sort`);
  return (await Promise.all(bed.machines.map(list))).join('');
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
      assert.ok(requests > 20, `${requests} requests`);
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

    await lost.powerOn();
    await lost.startDocker();
    let seen: unknown;
    const isWhole = async () => {
      seen = await api.readStore().catch((error: Error) => error.message);
      return typeof seen === 'object' && (seen as { health: string }).health === 'healthy';
    };
    await waitFor('all copies to answer', isWhole, { timeoutMs: 180_000, seen: () => seen });
    await bed.untilAllUp();
  });
});
