// What does script/up leave on a machine? A sample app that answers, each system process in a container of its own, everything
// in one folder, nothing that a neighbour on the network could control; and run again, it changes nothing.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { systemClock as clock } from '#core/clock';
import { silentLog as log } from '#core/log';
import { systemRandom as random } from '#core/random';
import { formationPrefix } from '#layer0/scheduler/wire';
import { createRemoteStore } from '#layer0/store/client';
import { checkout, Platform } from './cluster/platform.ts';
import { systemTypes, untilPlatformWorks } from './cluster/system.ts';

const platform = Platform.connect();
const { machine } = platform;
const home = '/var/lib/gantry';
/** Of the platform and the sample: other apps of this run may still be going. */
const recordPrefixes = (apps: readonly string[]) => [
  ...apps.flatMap((app) => [
    `${formationPrefix}${app}/`,
    `controller/apps/${app}`,
    `controller/releases/${app}/`,
    `controller/deployments/${app}/`,
  ]),
  'controller/tokens/',
  'router/certificates/',
];

interface Container {
  name: string;
  id: string;
  startedAt: string;
  image: string;
  labels: Record<string, string>;
  mounts: { Source: string; RW: boolean }[];
}

async function allContainers(): Promise<Container[]> {
  const text = await machine.must(
    // One that is removed between the two is no failure: it is simply not there.
    'docker ps -aq --no-trunc | xargs -r docker inspect || true',
  );
  const inspected = JSON.parse(text || '[]') as {
    Name: string;
    Id: string;
    Image: string;
    State: { StartedAt: string };
    Config: { Labels: Record<string, string> };
    Mounts: Container['mounts'];
  }[];
  return inspected.map(({ Name, Id, Image, State, Config, Mounts }) => ({
    name: Name.slice(1),
    id: Id,
    image: Image,
    startedAt: State.StartedAt,
    labels: Config.Labels,
    mounts: Mounts,
  }));
}

/** Images that script/up makes: those of apps that other tests deleted go in their own time. */
async function platformImages(): Promise<string[]> {
  const format = '{{.ID}} {{.Repository}}:{{.Tag}}';
  const all = (await machine.must(`docker images --no-trunc --format '${format}'`)).split('\n');
  return all.filter((line) => /gantry\/(base|stack|system|app-hello)/.test(line)).sort();
}

/** What runs for the platform and the sample, by name: the dead ones of earlier releases are left out. */
async function runningContainers(): Promise<string[]> {
  const running = new Set((await machine.must('docker ps -q --no-trunc')).trim().split('\n'));
  const isMeant = ({ id, labels }: Container) =>
    running.has(id) &&
    (labels['gantry.platform'] !== undefined ||
      ['gantry', 'hello'].includes(labels['gantry.app-name'] ?? ''));
  const meant = (await allContainers()).filter(isMeant);
  return meant.map(({ name, id, startedAt }) => `${name} ${id} ${startedAt}`).sort();
}

/** The daemon, DNS and the system jobs. */
async function gantryContainers(): Promise<Container[]> {
  const isOurs = ({ labels }: Container) =>
    labels['gantry.platform'] !== undefined || labels['gantry.app-name'] === 'gantry';
  return (await allContainers()).filter(isOurs);
}

async function desiredRecords(): Promise<string[]> {
  const baseUrl = `unix:${join(machine.root, home, 'run/host.sock')}`;
  const store = createRemoteStore({ baseUrl, clock, random, log });
  try {
    const hello = await store.get<{ app: string }>('controller/app-names/hello');
    const prefixes = recordPrefixes(['app-gantry', hello?.value.app ?? '']);
    const lists = await Promise.all(prefixes.map((prefix) => store.list(prefix)));
    const entries = lists.flatMap((list) => list.entries);
    assert.ok(entries.some(({ key }) => key.startsWith(formationPrefix)));
    return entries.map(({ key, modRevision }) => `${key} @${modRevision}`);
  } finally {
    await store.close();
  }
}

describe('after script/up', () => {
  test('the sample app answers on its URL, through the router', async () => {
    const answer = await platform.untilAnswers('hello');
    assert.match(answer.body, /\S/);
    assert.ok(answer.headers['x-request-id']);
  });

  test('each kind of system process runs in a container of its own; only the daemon and DNS are outside of app gantry', async () => {
    await untilPlatformWorks(platform);
    const system = await platform.containers('gantry');
    assert.deepEqual(
      Object.keys(system).sort(),
      systemTypes.map((type) => `${type}.1`),
    );
    const pids = Object.values(system).map(({ pid }) => pid);
    assert.equal(new Set(pids).size, systemTypes.length);
    const outside = (await gantryContainers()).filter(({ labels }) => !labels['gantry.app']);
    assert.deepEqual(outside.map(({ name }) => name).sort(), ['gantry-dns', 'gantry-host']);
    const table = await platform.gantry('ps', '-a', 'gantry');
    for (const type of systemTypes) assert.match(table, new RegExp(`${type}\\.1 +up`));
  });

  test('everything that is kept is in one folder; beside it are only the command, its configuration and its cache', async () => {
    const engineRoot = (await machine.must("docker info -f '{{.DockerRootDir}}'")).trim();
    // The last is in memory: until when singletons may run, for the fence that ends them.
    const others = ['/run', `${engineRoot}/containers`, '/run/gantry'];
    for (const { name, mounts } of await allContainers())
      for (const { Source } of mounts)
        assert.ok(
          Source.startsWith(`${home}/`) || Source === home || others.includes(Source),
          `${name} has ${Source}`,
        );
    assert.equal(await machine.must('docker volume ls -q'), '');
    const skipped = ['/proc', '/sys', engineRoot, home, checkout, '/tmp'];
    const prune = skipped.map((path) => `-path ${path}`).join(' -o ');
    const found = await machine.must(
      `find / -xdev \\( ${prune} \\) -prune -o -iname '*gantry*' -print`,
    );
    assert.deepEqual(found.trim().split('\n').sort(), [
      // Of the command: compiled code, made again when it is not there.
      '/root/.cache/gantry',
      '/root/.config/gantry',
      '/usr/local/bin/gantry',
    ]);
  });

  test('Docker, which script/up installed, keeps containers over its own restarts', async () => {
    const info = await machine.must("docker info -f '{{.LiveRestoreEnabled}}'");
    assert.equal(info.trim(), 'true');
  });

  test('beyond loopback only HAProxy and, for apps, DNS listen', async () => {
    const sockets = (await machine.must('ss -lntupH')).trim().split('\n');
    const strangers = sockets.filter((line) => !isExpected(line));
    assert.deepEqual(strangers, []);
    assert.ok(
      sockets.some((line) => /[*0.]:80 .*haproxy/.test(line)),
      sockets.join('\n'),
    );
  });

  test('where 80 and 443 are taken, others are chosen', async () => {
    const script = `import('./src/bootstrap/machine-file.ts')
      .then(({ chooseMachine }) => chooseMachine({ home: '/nonexistent', isBare: true }))
      .then(({ httpPort, httpsPort }) => console.log(httpPort, httpsPort))`;
    const said = await machine.must(`cd ${checkout} && node_modules/.bin/node -e "${script}"`);
    assert.equal(said.trim(), '8080 8443');
  });

  test('run again, script/up changes nothing', async (t) => {
    await untilPlatformWorks(platform);
    const images = await platformImages();
    const before = { containers: await runningContainers(), records: await desiredRecords() };
    const startMs = performance.now();
    const said = await machine.must(`cd ${checkout} && script/up`, { timeoutMs: 300_000 });
    t.diagnostic(`a second script/up took ${Math.round(performance.now() - startMs)} ms`);
    assert.match(said, /Gantry is up.*\n.*hello\.gantry\.localhost\/ answers: /);
    assert.deepEqual(await runningContainers(), before.containers);
    assert.deepEqual(await desiredRecords(), before.records);
    assert.deepEqual(await platformImages(), images);
  });
});

/** A line of `ss -lntupH`: netid, state, queues, local address, peer, process. */
function isExpected(line: string): boolean {
  const [netid, , , , local = ''] = line.split(/ +/);
  const address = local.slice(0, local.lastIndexOf(':')).replace(/%.*/, '');
  const port = Number(local.slice(local.lastIndexOf(':') + 1));
  if (address.startsWith('127.') || address === '[::1]') return true;
  if (/"haproxy"/.test(line)) return netid === 'tcp' && [80, 443].includes(port);
  // DNS is on the gateways of the apps' networks, where only their containers reach it.
  return (
    /"(node|MainThread)"/.test(line) && port === 53 && !['*', '0.0.0.0', '[::]'].includes(address)
  );
}
