// What can an app reach that is not its own? From its container, and from what a build of it runs, only DNS and the router
// answer on the machine, no other app does, and it has neither rights nor secrets that are not its own.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connectApi, LoadApp } from './cluster/load-app.ts';
import { Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();
const { machine } = platform;
const api = await connectApi(platform);
const [hostile, victim] = ['iso-hostile', 'iso-victim'];
const secret = `secret-of-the-victim-${process.pid}`;
/** As sshd would: on every address of the machine, and none of the platform's business. */
const listenerPort = 2222;
const routerPorts = [80, 443];
const forbidden = [
  '/var/run/docker.sock',
  '/run/docker.sock',
  '/var/lib/gantry',
  '/var/lib/gantry/run/host.sock',
  '/gantry/engine',
  '/var/lib/docker',
];

interface Found {
  uid: number;
  capabilities: string;
  bounding: string;
  noNewPrivileges: string;
  env: Record<string, string>;
  mounts: string;
  dialled: Record<string, string>;
  resolved: Record<string, string[]>;
  existing: string[];
}

interface Attempt {
  addresses: string[];
  ports: number[];
  names: string[];
  paths: string[];
}

let script = '';
let attempt: Attempt;
let victimAddress = '';
let closeListener = async () => {};

before(async () => {
  script = await readFile(join(import.meta.dirname, 'hostile/probe.js'), 'utf8');
  closeListener = await startListener();
  for (const app of [hostile, victim]) {
    await new LoadApp(app, platform, api).delete();
    await api.createApp({ name: app });
    await api.scale(app, { web: app === hostile ? 2 : 1 });
    if (app === victim) await api.changeEnv(app, { set: { SECRET: secret } });
    await api.deploy(app, {
      image: 'gantry/stack:latest',
      processes: { web: { entrypoint: ['node', '-e', script] } },
    });
    await platform.untilAnswers(app);
  }
  victimAddress = (await api.listJobs(victim)).find(({ type }) => type === 'web')?.address ?? '';
  await untilNoNetworkGoes();
  attempt = {
    addresses: await machineAddresses(),
    ports: await listeningPorts(),
    names: [victim, `web.${victim}.service.gantry`, `${victim}.service.gantry`, 'web.victim'],
    paths: forbidden,
  };
});

after(async () => {
  for (const app of [hostile, victim]) await new LoadApp(app, platform, api).delete();
  api.close();
  await closeListener();
});

/** Networks of apps that other files deleted: an address that goes meanwhile would be somebody else's, far away. */
async function untilNoNetworkGoes(): Promise<void> {
  const socket = '/var/lib/gantry/run/host.sock';
  const tombstones = 'http://host/store/list?prefix=network/tombstones/';
  await waitFor('the networks of deleted apps to be gone', async () => {
    const said = await platform.machine.must(`curl -s --unix-socket ${socket} '${tombstones}'`);
    return (JSON.parse(said) as { entries: unknown[] }).entries.length === 0;
  });
}

describe('from the container of an app', () => {
  let found: Found;
  before(async () => {
    found = await ask(attempt);
  });

  test('the machine answers with the router, and with nothing else it listens on', async () => {
    assert.ok(attempt.ports.includes(listenerPort), 'the listener is among what is tried');
    assert.ok(
      await isDialable(machine.address, listenerPort),
      'the listener answers those outside of the machine',
    );
    assertOnlyRouterAnswers(found);
    const ofRouter = attempt.addresses.map((address) => `${address}:80`);
    assert.deepEqual(
      ofRouter.filter((target) => found.dialled[target] !== 'open'),
      [],
    );
  });

  test('no other app answers, neither by its address nor by a name', async () => {
    assert.match(victimAddress, /^10\./);
    const { dialled } = await ask({ ...attempt, addresses: [victimAddress], ports: [8080] });
    assert.notEqual(dialled[`${victimAddress}:8080`], 'open');
    assert.deepEqual(Object.values(found.resolved).flat(), []);
  });

  test('DNS and the instances of its own app answer', async () => {
    const { resolved } = await ask({ ...attempt, addresses: [], names: ['web'] });
    const own = resolved.web ?? [];
    assert.equal(own.length, 2, `web is ${own}`);
    const { dialled } = await ask({ ...attempt, addresses: own, ports: [8080] });
    assert.deepEqual(Object.values(dialled), ['open', 'open']);
  });

  test('it is nobody special: no root, no capability, none to be had', () => {
    assert.notEqual(found.uid, 0);
    assert.match(found.capabilities, /^0+$/);
    assert.match(found.bounding, /^0+$/);
    assert.equal(found.noNewPrivileges, '1');
  });

  test('nothing of the machine is mounted, and no secret of others is in its environment', () => {
    assert.deepEqual(found.existing, []);
    assert.doesNotMatch(found.mounts, /docker\.sock|host\.sock|seal\.key/);
    assert.ok(!JSON.stringify(found.env).includes(secret));
    assert.deepEqual(
      Object.keys(found.env).filter((name) => /INTERNAL|HOST_URL|TOKEN|KEY/.test(name)),
      [],
    );
  });
});

describe('from what a build runs', () => {
  const app = 'iso-build';
  after(() => platform.deleteApp(app));

  test('a package.json script reaches no more than the app would, and has no more rights', async () => {
    const manifest = { name: app, scripts: { build: `node probe.js '${JSON.stringify(all())}'` } };
    const push = await platform.push(app, {
      'package.json': JSON.stringify(manifest),
      'probe.js': script,
      Procfile: 'web: node probe.js\n',
    });
    const found = foundIn(push.stderr);
    assertOnlyRouterAnswers(found);
    assert.notEqual(found.dialled[`${victimAddress}:8080`], 'open');
    assert.deepEqual(Object.values(found.resolved).flat(), []);
    assert.notEqual(found.uid, 0);
    assert.match(found.capabilities, /^0+$/);
    assert.deepEqual(found.existing, []);
    assert.ok(!JSON.stringify(found.env).includes(secret));
    await platform.deleteApp(app);
  });

  test('a RUN of a Dockerfile reaches neither the machine nor an app', async () => {
    const push = await platform.push(app, {
      Dockerfile: [
        'FROM gantry/stack:latest',
        'COPY probe.js /app/probe.js',
        `RUN node /app/probe.js '${JSON.stringify(all())}'`,
        'ENTRYPOINT ["node", "/app/probe.js"]',
        '',
      ].join('\n'),
      'probe.js': script,
    });
    const found = foundIn(push.stderr);
    assertOnlyRouterAnswers(found);
    assert.notEqual(found.dialled[`${victimAddress}:8080`], 'open');
    assert.deepEqual(Object.values(found.resolved).flat(), []);
    assert.deepEqual(found.existing, []);
    assert.ok(!JSON.stringify(found.env).includes(secret));
  });
});

/** The machine and the victim in one attempt: a build can be asked only once. */
function all(): Attempt {
  const ports = [...new Set([...attempt.ports, 8080])];
  return { ...attempt, addresses: [...attempt.addresses, victimAddress], ports };
}

function assertOnlyRouterAnswers({ dialled }: Found): void {
  const open = Object.keys(dialled).filter((target) => dialled[target] === 'open');
  const others = open.filter((target) => !routerPorts.includes(Number(target.split(':')[1])));
  assert.deepEqual(others, [], `of ${Object.keys(dialled).length} tried`);
}

async function ask(what: Attempt): Promise<Found> {
  const path = `/?${encodeURIComponent(JSON.stringify(what))}`;
  const { status, body } = await platform.ask(hostile, { path });
  assert.equal(status, 200, body);
  return JSON.parse(body) as Found;
}

function foundIn(output: string): Found {
  const line = output.split('\n').find((one) => one.includes('PROBE {'));
  assert.ok(line, `the build ran the probe: ${output.slice(-2000)}`);
  return JSON.parse(line.slice(line.indexOf('{')).trim()) as Found;
}

/** All but loopback: its cable, Docker's bridge, and the gateway of every app. */
async function machineAddresses(): Promise<string[]> {
  const table = await machine.must(
    "awk '/32 host LOCAL/ { print f } { f = $2 }' /proc/net/fib_trie",
  );
  const all = new Set(table.split('\n').filter((line) => line && !line.startsWith('127.')));
  assert.ok(all.size > 3, `addresses of the machine: ${[...all]}`);
  return [...all];
}

/** Every TCP port that somebody listens on, also those that are on loopback only. */
async function listeningPorts(): Promise<number[]> {
  const table = await machine.must('cat /proc/net/tcp /proc/net/tcp6');
  const rows = table.split('\n').map((line) => line.trim().split(/\s+/));
  const ports = rows
    .filter(([, , , state]) => state === '0A')
    .map(([, local = '']) => Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16));
  return [...new Set([...ports, 22, 2375, 2376, 53])].filter((port) => port !== 53);
}

/** Listens on all addresses of the machine until the answer is called. */
async function startListener(): Promise<() => Promise<void>> {
  const program = `require('node:net').createServer((s) => s.end()).listen(${listenerPort}, '0.0.0.0')`;
  const node = '/opt/gantry/node_modules/.bin/node';
  const start = `setsid ${node} -e "${program}" >/dev/null 2>&1 </dev/null & echo $!`;
  const pid = (await machine.must(start)).trim();
  await waitFor('the listener to listen', () => isDialable(machine.address, listenerPort));
  return async () => {
    await machine.must(`kill ${pid}`);
  };
}

function isDialable(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 5_000 });
    const end = (isOpen: boolean) => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false)).once('timeout', () => end(false));
  });
}
