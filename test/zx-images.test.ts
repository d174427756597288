// Are images where they are needed, also after the loss of a machine? Two machines have a registry; a release is in both before
// it is scheduled, and a machine that lacks it gets only the layers that it lacks.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { JobView } from '#layer1/controller/client';
import { Bed } from './cluster/bed.ts';
import type { Machine } from './cluster/machine.ts';
import type { Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';

const app = 'images';
/** The registry's own port, and those that lead to the registries of the cluster. */
const ports = { own: 7450, ways: [7451, 7452] };

let bed: Bed;
let platform: Platform;
let second: Machine;

before(async () => {
  bed = await Bed.of(2);
  platform = bed.platform;
  second = bed.machines[1] ?? platform.machine;
});

after(() => platform.deleteApp(app));

function release(text: string) {
  return {
    'package.json': JSON.stringify({ name: app, scripts: { start: 'node server.js' } }),
    Procfile: 'web: node server.js\n',
    'server.js': `require('node:http').createServer((_, response) => response.end('${text}')).listen(process.env.PORT);`,
  };
}

async function push(text: string): Promise<void> {
  const { code, stderr } = await platform.push(app, release(text));
  assert.equal(code, 0, stderr);
}

/** Ids of images, as one machine sees them on its loopback. */
async function heldBy(machine: Machine, port: number): Promise<string[]> {
  const url = `http://127.0.0.1:${port}/v2/gantry/images/tags/list`;
  const { stdout } = await machine.sh(`curl -sS -m 20 ${url}`);
  const { tags } = JSON.parse(stdout || '{}') as { tags?: string[] };
  return (tags ?? []).map((tag) => `sha256:${tag}`);
}

async function imageOfRelease(): Promise<string> {
  const ids = `docker ps -q --filter label=gantry.app-name=${app} --filter label=gantry.type=web`;
  for (const { sh } of bed.machines.map((machine) => ({ sh: machine.sh.bind(machine) }))) {
    const { stdout } = await sh(`${ids} | head -1 | xargs -r docker inspect -f '{{.Image}}'`);
    if (stdout.trim() !== '') return stdout.trim();
  }
  throw new Error(`nothing of ${app} runs`);
}

async function receivedBytes(machine: Machine): Promise<number> {
  return Number(await machine.must('cat /sys/class/net/eth0/statistics/rx_bytes'));
}

describe('images on two machines', () => {
  test('are in a registry on each, which listens on loopback only', async () => {
    for (const machine of bed.machines) {
      await waitFor(`a registry on ${machine.name}`, async () =>
        (await machine.must('docker ps --format {{.Names}}')).includes('gantry-registry'),
      );
      const listeners = await machine.must('cat /proc/net/tcp /proc/net/tcp6');
      for (const port of [ports.own, ...ports.ways]) {
        const hex = port.toString(16).toUpperCase();
        const bound = listeners
          .split('\n')
          .filter((line) => line.includes(`:${hex} `) && / 0A /.test(line))
          .map((line) => line.trim().split(/\s+/)[1]);
        assert.deepEqual(bound, [`0100007F:${hex}`], `${machine.name}: port ${port}`);
      }
    }
  });

  test('that were released before are put there: each registry gets what is needed', async () => {
    await push('first');
    const image = await imageOfRelease();
    for (const machine of bed.machines)
      for (const port of ports.ways)
        assert.ok((await heldBy(machine, port)).includes(image), `${machine.name}: ${port}`);
    const stack = await platform.machine.must(`docker inspect -f '{{.Id}}' gantry/stack:latest`);
    await waitFor(
      'the stack image to be in both',
      async () => {
        const held = await Promise.all(ports.ways.map((port) => heldBy(second, port)));
        return held.every((ids) => ids.includes(stack.trim()));
      },
      { timeoutMs: 300_000, everyMs: 2000 },
    );
  });

  test('go to the other machine by layers: the second release moves only what is new', async (t) => {
    await platform.gantry('scale', 'web=2', '-a', app);
    const before = await receivedBytes(second);
    await push('second');
    const jobs = await platform.gantryJson<JobView[]>('ps', '-a', app);
    const hosts = new Set(jobs.filter(({ type }) => type === 'web').map(({ host }) => host));
    assert.equal(hosts.size, 2);
    const megabytes = Math.round(((await receivedBytes(second)) - before) / 1e6);
    assert.ok(megabytes < 100, `${megabytes} MB for a release of one file`);
    const image = await imageOfRelease();
    assert.match(await second.must(`docker inspect -f '{{.Id}}' ${image}`), /^sha256:/);
    t.diagnostic(`${megabytes} MB came to the second machine for a release of one file`);
  });

  test('are released also while one registry is away, and get there when it is back', async () => {
    await second.must('docker pause gantry-registry');
    try {
      await push('third');
    } finally {
      await second.must('docker unpause gantry-registry');
    }
    const image = await imageOfRelease();
    await waitFor(
      'the registry that was away to have it',
      async () => (await heldBy(second, ports.own)).includes(image),
      { timeoutMs: 180_000, everyMs: 2000 },
    );
  });
});
