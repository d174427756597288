// From an app's container only DNS and the router answer on any address of this machine, and no other app.
// Needs root, Docker, iptables and /bin/busybox (Debian: busybox-static); removes everything it made.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { systemClock } from '#core/clock';
import { silentLog } from '#core/log';
import { systemRandom } from '#core/random';
import { createDiscovery } from '#layer0/discovery/client';
import { createDnsTable } from '#layer0/discovery/index';
import { createDnsServer } from '#layer0/dns/index';
import {
  type AppNetwork,
  type Attachment,
  createNetwork,
  dnsListeners,
  type Network,
} from '#layer0/network/client';
import { createFirewall, createOverlay, removeFirewall } from '#layer0/network/index';
import { createMemoryStore } from '#layer0/store/fake';
import { createDockerRuntime } from '../src/layer0/host/runtime/docker/docker-runtime.ts';
import { buildBusyboxImage } from './busybox-image.ts';

const name = `gantry-network-${randomBytes(4).toString('hex')}`;
const deps = { clock: systemClock, random: systemRandom, log: silentLog };
const runtime = createDockerRuntime({ socketPath: '/var/run/docker.sock', ...deps });
const run = promisify(execFile);
const store = createMemoryStore();
const discovery = createDiscovery({ store, ...deps });
const cleanups: (() => unknown)[] = [];

interface Member {
  id: string;
  attachment: Attachment;
}

let network: Network;
let [router, secret, loopback] = [0, 0, 0];
const networks: Record<string, AppNetwork> = {};
const members: Record<string, Member> = {};

function makeNetwork(): Network {
  const firewallConfig = {
    cluster: name,
    pool: '10.213.0.0/16',
    routerPorts: [String(router)],
    extraBridges: [],
  };
  const firewall = createFirewall(deps, firewallConfig);
  const config = { cluster: name, host: 'host-1', address: '127.0.0.1', domain: 'gantry' };
  const ranges = { pool: '10.213.0.0/16', prefixLength: 24, mtu: 1450 };
  const alone = { overlay: createOverlay(), others: () => new Map<string, string>() };
  return createNetwork({ store, runtime, firewall, ...alone, ...deps }, { ...config, ...ranges });
}

/** Says one word to whoever connects. */
async function listen(host: string, word: string): Promise<number> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(`${word}\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  cleanups.push(() => server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
}

async function startMember(app: string, image: string): Promise<Member> {
  const attachment = await network.allocate(app, `job-${app}`, 'host-1');
  const { dns, dnsSearch, dnsOptions, networkName, ip, mac } = attachment;
  const id = await runtime.create({
    name: `${name}-${app}`,
    image,
    command: ['sh', '-c', `while true; do echo peer-${app} | nc -l -p 8080; done`],
    env: {},
    labels: { 'gantry.test': name, 'gantry.job': `job-${app}`, 'gantry.attempt': '1' },
    network: { kind: 'app', name: networkName, ip, mac },
    dns: { servers: dns, search: dnsSearch, options: dnsOptions },
    binds: [],
    memoryBytes: 64 * 1024 * 1024,
    cpuMillis: 100,
    pids: 32,
    tty: false,
    openStdin: false,
    capabilities: [],
    logMaxBytes: 1024 * 1024,
    logMaxFiles: 1,
  });
  await runtime.start(id);
  return { id, attachment };
}

/** What a shell command inside an app's container prints, failed or not. */
async function inside(app: string, command: string): Promise<string> {
  const script = `${command} 2>&1 </dev/null; true`;
  const { stdout } = await run('docker', ['exec', members[app]?.id ?? '', 'sh', '-c', script]);
  return stdout.trim();
}

const dial = (app: string, address: string, port: number) =>
  inside(app, `timeout 3 nc -w 2 ${address} ${port}`);

/** Every IPv4 address of this machine outside of loopback: gateways of both apps among them. */
function machineAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  return all.filter(({ family, internal }) => family === 'IPv4' && !internal).map((e) => e.address);
}

async function otherRules(): Promise<string[]> {
  const { stdout } = await run('iptables', ['-w', '-S', 'INPUT']);
  return stdout.split('\n').filter((line) => !line.includes('GANTRY-INPUT'));
}

async function until(what: string, isDone: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await isDone())) if (Date.now() > end) assert.fail(`within 10 s not true: ${what}`);
}

before(async () => {
  router = await listen('0.0.0.0', 'router');
  secret = await listen('0.0.0.0', 'secret');
  loopback = await listen('127.0.0.1', 'loopback');
  network = makeNetwork();
  await network.start();
  const image = await buildBusyboxImage(runtime, name);
  const folder = await mkdtemp(join(tmpdir(), 'gantry-network-'));
  cleanups.push(() => rm(folder, { recursive: true }));
  const path = join(folder, 'table.json');
  const table = createDnsTable(
    {
      ...deps,
      discovery,
      store,
      watchListeners: (callback) => network.watch((all) => callback(dnsListeners(all))),
    },
    { path, domain: 'gantry', routerSuffix: 'apps.example' },
  );
  const dns = createDnsServer(
    { clock: systemClock, log: { info() {}, warn() {} } },
    { tablePath: path, port: 53 },
  );
  table.start();
  await dns.start();
  cleanups.push(() => table.stop().then(() => dns.stop()));
  for (const app of ['shop', 'bank']) {
    networks[app] = await network.ensureAppNetwork(app, app);
    members[app] = await startMember(app, image);
    await discovery.register({
      id: `1.web.${app}`,
      service: `web.${app}`,
      address: members[app].attachment.ip,
      port: 8080,
      ports: {},
      state: 'up',
      host: 'host-1',
      createdAt: 1,
      metadata: {},
    });
  }
  await until('DNS listens', async () => dns.status().bound === 2);
});

after(async () => {
  await network.stop();
  await discovery.close();
  for (const cleanup of cleanups.reverse()) await cleanup();
  const labels = { 'gantry.test': name };
  for (const { id } of await runtime.list(labels)) await runtime.remove(id);
  for (const app of Object.keys(members)) {
    await network.release(`job-${app}`);
    await network.removeAppNetwork(app);
  }
  await removeFirewall(name);
  for (const { id, tags } of await runtime.images())
    if (tags.some((tag) => tag.startsWith(name))) await runtime.removeImage(id);
  runtime.close();
});

test('names of the own app and of the router answer, names of another app do not', async () => {
  const ip = members.shop?.attachment.ip ?? '';
  for (const asked of ['web', 'web.shop.service.gantry', '1.web.shop.service.gantry'])
    assert.match(await inside('shop', `nslookup -type=a ${asked}`), new RegExp(`Address: ${ip}`));
  const gateway = members.shop?.attachment.dns[0] ?? '';
  const suffix = await inside('shop', 'nslookup -type=a blog.apps.example');
  assert.match(suffix, new RegExp(`Address: ${gateway}`));
  assert.match(await inside('shop', 'nslookup -type=a web.bank.service.gantry'), /NXDOMAIN/);
  assert.equal(await inside('shop', 'timeout 3 nc -w 2 web 8080'), 'peer-shop');
});

test('a container has the address and the MAC that it was given', async () => {
  const shown = await inside('shop', 'ip addr show eth0');
  assert.ok(shown.includes(members.shop?.attachment.ip ?? '?'));
  assert.ok(shown.includes(members.shop?.attachment.mac ?? '?'));
  assert.ok(shown.includes('mtu 1450'));
  assert.ok(!shown.includes('inet6'), 'no IPv6');
});

test('the router answers on every address of the machine, anything else on none', async () => {
  const addresses = machineAddresses();
  assert.ok(addresses.length >= 3);
  for (const address of addresses) {
    assert.equal(await dial('shop', address, router), 'router', address);
    assert.doesNotMatch(await dial('shop', address, secret), /secret/, address);
    assert.doesNotMatch(await dial('shop', address, loopback), /loopback/, address);
  }
});

test('another app answers neither by address nor through its DNS', async () => {
  const bank = members.bank?.attachment;
  assert.equal(await dial('bank', bank?.ip ?? '', 8080), 'peer-bank');
  assert.doesNotMatch(await dial('shop', bank?.ip ?? '', 8080), /peer/);
  const asked = `timeout 3 nslookup -type=a web.bank.service.gantry ${bank?.dns[0]}`;
  assert.doesNotMatch(await inside('shop', asked), new RegExp(bank?.ip ?? '?'));
});

test('a daemon that comes back finds everything as it is and changes nothing', async () => {
  const rules = async () => (await run('iptables', ['-w', '-S'])).stdout;
  const before = await rules();
  await network.stop();
  network = makeNetwork();
  await network.start();
  assert.equal(await rules(), before);
  assert.deepEqual(await network.ensureAppNetwork('shop', 'shop'), networks.shop);
  const again = await network.allocate('shop', 'job-shop', 'host-1');
  assert.deepEqual(again, members.shop?.attachment);
  assert.equal(await dial('shop', again.dns[0] ?? '', router), 'router');
  assert.doesNotMatch(await dial('shop', again.dns[0] ?? '', secret), /secret/);
});

test('rules that others flush come back, and removing leaves only those of others', async () => {
  const gateway = members.shop?.attachment.dns[0] ?? '';
  const others = await otherRules();
  await removeFirewall(name);
  assert.deepEqual(await otherRules(), others);
  assert.equal(await dial('shop', gateway, secret), 'secret', 'it was the firewall that refused');
  network.resync();
  await until('refused again', async () => (await dial('shop', gateway, secret)) !== 'secret');
  assert.deepEqual(await otherRules(), others);
});
