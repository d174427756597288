// Does each machine's router answer for every app, wherever its instances are, and go on when another machine loses its power?
// And does a container reach no more of another machine than of its own?

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import type { JobView } from '#layer1/controller/client';
import { Bed } from './cluster/bed.ts';
import type { Machine } from './cluster/machine.ts';
import type { Platform } from './cluster/platform.ts';
import { sendProgram, unclaimedDatagrams } from './cluster/vxlan-packet.ts';
import { waitFor } from './cluster/wait.ts';

const app = 'reach';
const tcpPort = 3033;
/** Longest wait of a request that a machine without power had: HAProxy's checks, the router's bound, a look. */
const boundMs = 15_000;

let bed: Bed;
let platform: Platform;
let first: Machine;
let second: Machine;

/** Says which instance it is; at /slow after two seconds. */
const files = {
  'package.json': JSON.stringify({ name: app, scripts: { start: 'node server.js' } }),
  Procfile: 'web: node server.js\n',
  'server.js': `
    require('node:http').createServer((request, response) => {
      const answer = () => response.end(process.env.GANTRY_PROCESS);
      if (request.url === '/slow') setTimeout(answer, 2_000);
      else answer();
    }).listen(process.env.PORT);
  `,
};

before(async () => {
  bed = await Bed.of(2);
  platform = bed.platform;
  first = platform.machine;
  second = bed.machines[1] as Machine;
  const push = await platform.push(app, files);
  assert.equal(push.code, 0, push.stderr);
  await platform.gantry('route', 'add', 'tcp', String(tcpPort), '-a', app);
});

after(async () => {
  if (!second.isOn) {
    await second.powerOn();
    await second.startDocker();
  }
  await bed.untilAllUp();
  await platform.deleteApp(app);
});

const machineOf = (job: JobView) =>
  bed.machines.find((machine) => bed.hostId(machine) === job.host) as Machine;

async function running(): Promise<JobView[]> {
  const jobs = await platform.gantryJson<JobView[]>('ps', '-a', app);
  return jobs.filter(({ type, state }) => type === 'web' && state === 'up');
}

/** So many instances, and some of them on each machine, as the cluster spreads them. */
const untilSpread = (count: number) =>
  waitFor(`${count} instances on both machines`, async () => {
    const jobs = await running();
    return new Set(jobs.map(({ host }) => host)).size === 2 && jobs.length === count;
  });

function ask(machine: Machine, path = '/') {
  const startMs = performance.now();
  return new Promise<{ status: number; text: string; ms: number }>((resolve, reject) => {
    const headers = { host: `${app}.gantry.localhost` };
    const call = request({ host: machine.address, path, headers, timeout: boundMs }, (answer) => {
      const status = answer.statusCode ?? 0;
      const done = (said: string) =>
        resolve({ status, text: said, ms: performance.now() - startMs });
      text(answer).then(done, reject);
    });
    call.on('timeout', () => call.destroy(new Error(`no answer within ${boundMs} ms`)));
    call.on('error', reject);
    call.end();
  });
}

/** What a machine's TCP port says to a request. */
function dialTcp(machine: Machine): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: machine.address, port: tcpPort, timeout: 5_000 });
    let said = '';
    socket.on('data', (data) => {
      said += data;
    });
    socket.on('end', () => resolve(said)).on('error', reject);
    socket.on('timeout', () => socket.destroy(new Error(`nothing from ${machine.name}`)));
    socket.write(`GET / HTTP/1.0\r\n\r\n`);
  });
}

const containerOn = (machine: Machine) =>
  machine.must(`docker ps -q --filter label=gantry.app-name=${app} --filter label=gantry.type=web`);

async function insideOf(machine: Machine, ...command: string[]): Promise<string> {
  const id = (await containerOn(machine)).trim().split('\n')[0] ?? '';
  const words = command.map((word) => `'${word}'`).join(' ');
  return machine.must(`docker exec ${id} ${words}`);
}

describe('an app whose only instance is on one machine', () => {
  test("answers at every machine's router, over HTTP and TCP", async () => {
    await waitFor('one instance', async () => (await running()).length === 1);
    for (const machine of bed.machines) {
      let seen = '';
      const says = (read: () => Promise<string>) =>
        waitFor(
          `the app to answer at ${machine.name}`,
          async () => {
            seen = await read().catch(String);
            return seen.includes('web.1');
          },
          { seen: () => seen },
        );
      await says(async () => (await ask(machine)).text);
      await says(() => dialTcp(machine));
    }
  });
});

describe('a container', () => {
  before(async () => {
    await platform.gantry('scale', 'web=2', '-a', app);
    await untilSpread(2);
  });

  test('is refused the control ports of the other machine, and the refusal is logged', async () => {
    const dial = (port: number) =>
      insideOf(
        first,
        'node',
        '-e',
        `require("net").connect(${port}, "${second.address}").on("connect", () => { console.log("in"); process.exit() }).on("error", () => console.log("refused"))`,
      );
    assert.equal((await dial(80)).trim(), 'in', 'the router answers');
    for (const port of [7443, 22, 2375, 2379])
      assert.equal((await dial(port)).trim(), 'refused', `port ${port}`);
    const own = (await running()).find((job) => machineOf(job) === first);
    await waitFor('the refusal in the log', async () => {
      const log = await first.must(
        `docker logs --since 5m gantry-host 2>&1 | grep refused || true`,
      );
      return log.includes(own?.id ?? '?');
    });
  });

  test('gets no frame into a network by wrapping it itself', async () => {
    const jobs = await running();
    const target = jobs.find((job) => machineOf(job) === second)?.address ?? '';
    const socket = '/var/lib/gantry/run/host.sock';
    const said = await first.must(`curl -s --unix-socket ${socket} http://host/network/apps`);
    const networks = JSON.parse(said) as { appName: string; vni: number; gateway: string }[];
    const network = networks.find(({ appName }) => appName === app);
    assert.ok(network);
    const forged = { vni: network.vni, from: network.gateway, to: target };
    const program = sendProgram(forged, second.address);
    const received = async () =>
      unclaimedDatagrams(await insideOf(second, 'cat', '/proc/net/snmp'));
    const before = await received();
    await insideOf(first, 'node', '-e', program);
    assert.equal(await received(), before);
    await first.must(`/opt/gantry/node_modules/.bin/node -e '${program}'`);
    assert.equal(await received(), before + 1, 'a member may: it was the firewall');
  });
});

describe('a machine that loses its power', () => {
  test('fails no request to what is left, and those that wait for it go elsewhere', async () => {
    await untilSpread(2);
    const answers: Promise<{ status: number; ms: number }>[] = [];
    // Two of four are on the machine that goes.
    for (let count = 0; count < 4; count++) answers.push(ask(first, '/slow'));
    const timer = setInterval(() => answers.push(ask(first)), 50);
    await waitFor('requests to be answered', async () => (await ask(first)).status === 200);
    await second.powerOff();
    const offMs = performance.now();
    await waitFor('some seconds without it', async () => performance.now() - offMs > 8_000);
    clearInterval(timer);
    const all = await Promise.all(answers);
    assert.deepEqual([...new Set(all.map(({ status }) => status))], [200]);
    const slowest = Math.max(...all.map(({ ms }) => ms));
    assert.ok(slowest < boundMs, `the slowest took ${Math.round(slowest)} ms`);
    console.log(`${all.length} requests, the slowest took ${Math.round(slowest)} ms`);
  });

  test('has its tunnels and routes again when it is back', async () => {
    await second.powerOn();
    await second.startDocker();
    await bed.untilAllUp();
    // What it had is on the first by now: new instances are placed where there is room.
    await platform.gantry('scale', 'web=4', '-a', app);
    await untilSpread(4);
    for (const machine of bed.machines) {
      const heard = new Set<string>();
      await waitFor(
        `every instance at ${machine.name}`,
        async () => heard.add((await ask(machine)).text).size === 4,
        { seen: () => [...heard] },
      );
    }
    const devices = await second.must('ip -br link show type vxlan');
    assert.match(devices, /^gr/m);
  });
});
