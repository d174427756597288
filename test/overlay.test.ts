// Containers of one app on several machines reach each other, also after an address moved; each machine reaches those of every
// app, and no container anything that is not its own; nothing that is not recorded stays.
// Needs root, iproute2, iptables and busybox: machines and containers are network namespaces, without an engine.

import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { silentLog } from '#core/log';
import { createFirewall } from '#layer0/network/index';
import type { Address, AppNetwork } from '#layer0/network/wire';
import { macOf } from '../src/layer0/network/decide/cidr.ts';
import { endpointsOf } from '../src/layer0/network/decide/endpoints.ts';
import { bridgeName, routesName } from '../src/layer0/network/decide/names.ts';
import { tunnelName } from '../src/layer0/network/decide/overlay.ts';
import { routesOf } from '../src/layer0/network/decide/routes.ts';
import { createOverlay } from '../src/layer0/network/overlay.ts';
import { type RunCommand, runCommand } from '../src/layer0/network/run-command.ts';
import { sendProgram, unclaimedDatagrams } from './cluster/vxlan-packet.ts';
import { waitFor } from './cluster/wait.ts';

const run = promisify(execFile);
const id = `go${randomBytes(2).toString('hex')}`;
const cluster = `cluster-${id}`;
/** App `bank` is on the third machine alone, app `shop` on all of them. */
const apps = {
  shop: { vni: 0xabc, subnet: '10.255.77.0/24', machines: [1, 2, 3] },
  bank: { vni: 0xdef, subnet: '10.255.78.0/24', machines: [3] },
};
type App = keyof typeof apps;
const bridgeOf = (app: App) => bridgeName(cluster, apps[app].vni);
const tunnel = tunnelName(cluster, apps.shop.vni);
const routes = { vni: 0xfff, subnet: '10.255.80.0/20' };
const machines = [1, 2, 3];
const memberAddress = (machine: number) => `10.254.77.${machine}`;
const gatewayIn = (app: App, machine: number) => apps[app].subnet.replace('0/24', `${machine}`);
const gateway = (machine: number) => gatewayIn('shop', machine);
const between = (machine: number) => `10.255.80.${machine}`;
const appOf = (address: string): App => (address.startsWith('10.255.78.') ? 'bank' : 'shop');
/** Which machine a container's address is on: what the store would say. */
const places = new Map([
  ['10.255.77.11', 1],
  ['10.255.77.12', 2],
  ['10.255.77.13', 3],
  ['10.255.78.21', 3],
]);
const shops = () => [...places.keys()].filter((address) => appOf(address) === 'shop');
const bank = '10.255.78.21';
const routerPort = 8000;

/** The network between the machines, apart from the filters of this one. */
const cable = `${id}cable`;
const machineSpace = (machine: number) => `${id}m${machine}`;
const containerSpace = (address: string) => `${id}c${address.split('.')[3]}`;
const ip = (...args: string[]) => run('ip', args);
const inside = (space: string, ...command: string[]) =>
  run('ip', ['netns', 'exec', space, ...command]);

const listeners: ChildProcess[] = [];

/** Counts what changes: commands with an input; and the looks of machines at their tunnels. */
let changes = 0;
let looks = 0;
const runOn =
  (machine: number): RunCommand =>
  (file, args, input) => {
    if (input !== undefined) changes++;
    else if (file === 'sh') looks++;
    return runCommand('ip', ['netns', 'exec', machineSpace(machine), file, ...args], input);
  };
const overlays = new Map(machines.map((machine) => [machine, createOverlay(runOn(machine))]));

const firewalls = new Map(
  machines.map((machine) => {
    const machineDeps = {
      run: runOn(machine),
      legacyTables: async () => '',
      recent: (list: string) => runOn(machine)('cat', [`/proc/net/xt_recent/${list}`]),
    };
    const settings = { cluster, pool: '10.255.64.0/18', extraBridges: [] };
    return [
      machine,
      createFirewall(
        { log: silentLog, machine: machineDeps },
        { ...settings, routerPorts: [String(routerPort)] },
      ),
    ];
  }),
);

/** As the store has them. */
function recorded(): Address[] {
  const jobs = [...places].map(([address, machine]) => ({
    app: appOf(address),
    ip: address,
    job: `job-${address}`,
    host: `host-${machine}`,
  }));
  const gateways = machines.flatMap((machine) =>
    (['shop', 'bank'] as const)
      .filter((app) => apps[app].machines.includes(machine) && machine !== 1)
      .map((app) => ({ app, ip: gatewayIn(app, machine), machine })),
  );
  const ofMachines = machines.map((machine) => ({ app: 'routes', ip: between(machine), machine }));
  const held = [...gateways, ...ofMachines].map(({ app, ip: address, machine }) => ({
    app,
    ip: address,
    job: `gateway/${app}/host-${machine}`,
    host: `host-${machine}`,
  }));
  return [...jobs, ...held];
}

async function program(
  machine: number,
  { among = machines, how = 'ensure' }: { among?: number[]; how?: 'ensure' | 'follow' } = {},
): Promise<void> {
  const others = among.filter((other) => other !== machine);
  const members = new Map(others.map((other) => [`host-${other}`, memberAddress(other)]));
  const around = { host: `host-${machine}`, members };
  const carried = (['shop', 'bank'] as const)
    .filter((app) => apps[app].machines.includes(machine))
    .map((app) => {
      const network: AppNetwork = {
        app,
        appName: app,
        networkName: app,
        gatewayHost: 'host-1',
        subnet: apps[app].subnet,
        vni: apps[app].vni,
        bridge: bridgeOf(app),
      };
      return { ...network, gateway: gatewayIn(app, machine) };
    });
  const gateways = recorded();
  const networks = others.length > 0 ? endpointsOf(carried, gateways, around) : [];
  const wanted = others.length > 0 ? routesOf(routes, gateways, around) : undefined;
  await firewalls.get(machine)?.ensure([...members.values()]);
  const local = memberAddress(machine);
  const settings = { cluster, local, mtu: 1450, networks };
  await overlays.get(machine)?.[how]({ ...settings, ...(wanted ? { routes: wanted } : {}) });
}

const programAll = async () => {
  for (const machine of machines) await program(machine);
};

/** As it goes when the store says that an address changed; a look finds nothing left to do then. */
async function followAll(): Promise<void> {
  for (const machine of machines) await program(machine, { how: 'follow' });
  changes = 0;
  await programAll();
  assert.equal(changes, 0);
}

async function makeMachine(machine: number): Promise<void> {
  const space = machineSpace(machine);
  await ip('netns', 'add', space);
  const port = `v${machine}`;
  const peer = ['peer', 'name', 'eth0', 'netns', space];
  await ip('-n', cable, 'link', 'add', port, 'type', 'veth', ...peer);
  await ip('-n', cable, 'link', 'set', port, 'master', 'cable', 'up');
  await ip('-n', space, 'addr', 'add', `${memberAddress(machine)}/24`, 'dev', 'eth0');
  await ip('-n', space, 'link', 'set', 'eth0', 'up');
  await ip('-n', space, 'link', 'set', 'lo', 'up');
  for (const app of ['shop', 'bank'] as const) {
    if (!apps[app].machines.includes(machine)) continue;
    const [bridge, address] = [bridgeOf(app), `${gatewayIn(app, machine)}/24`];
    await ip('-n', space, 'link', 'add', bridge, 'type', 'bridge');
    await ip('-n', space, 'addr', 'add', address, 'dev', bridge);
    await ip('-n', space, 'link', 'set', bridge, 'mtu', '1450', 'up');
  }
  await actAsEngine(machine);
}

/** What the engine does to a machine: it forwards, out of its bridges only, under addresses of the machine. */
async function actAsEngine(machine: number): Promise<void> {
  const rules = ['-P FORWARD DROP', '-N DOCKER', '-N DOCKER-USER', '-A FORWARD -j DOCKER-USER'];
  for (const app of ['shop', 'bank'] as const) {
    const bridge = bridgeOf(app);
    rules.push(`-A FORWARD -o ${bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`);
    rules.push(`-A FORWARD -i ${bridge} ! -o ${bridge} -j ACCEPT`);
    rules.push(`-A FORWARD -i ${bridge} -o ${bridge} -j ACCEPT`);
    rules.push(`-t nat -A POSTROUTING -s ${apps[app].subnet} ! -o ${bridge} -j MASQUERADE`);
  }
  const text = rules.map((rule) => `iptables ${rule}`).join(' && ');
  await inside(machineSpace(machine), 'sh', '-c', `sysctl -qw net.ipv4.ip_forward=1 && ${text}`);
}

async function startContainer(address: string): Promise<void> {
  const [space, machine] = [containerSpace(address), machineSpace(places.get(address) ?? 0)];
  const app = appOf(address);
  await ip('netns', 'add', space);
  const outer = `v${address.split('.')[3]}`;
  const peer = ['peer', 'name', 'eth0', 'address', macOf(address), 'netns', space];
  await ip('-n', machine, 'link', 'add', outer, 'mtu', '1450', 'type', 'veth', ...peer);
  await ip('-n', machine, 'link', 'set', outer, 'master', bridgeOf(app), 'up');
  await ip('-n', space, 'link', 'set', 'lo', 'up');
  await ip('-n', space, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
  await ip('-n', space, 'link', 'set', 'eth0', 'mtu', '1450', 'up');
  const own = gatewayIn(app, places.get(address) ?? 0);
  await ip('-n', space, 'route', 'add', 'default', 'via', own);
}

const stopContainer = (address: string) => ip('netns', 'del', containerSpace(address));

async function reaches(space: string, address: string, ...options: string[]): Promise<boolean> {
  return inside(space, 'busybox', 'ping', '-c', '1', '-W', '3', ...options, address).then(
    () => true,
    () => false,
  );
}

before(async () => {
  await ip('netns', 'add', cable);
  await ip('-n', cable, 'link', 'add', 'cable', 'type', 'bridge');
  await ip('-n', cable, 'link', 'set', 'cable', 'up');
  for (const machine of machines) await makeMachine(machine);
  for (const address of places.keys()) await startContainer(address);
  await programAll();
});

after(async () => {
  for (const { pid } of listeners) if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  const { stdout } = await ip('netns', 'list');
  for (const line of stdout.split('\n'))
    if (line.startsWith(id)) await ip('netns', 'del', line.split(' ')[0] ?? '');
});

test('each container reaches each other one and every gateway, with whole packets of the MTU', async () => {
  for (const from of shops()) {
    for (const to of shops())
      assert.ok(await reaches(containerSpace(from), to, '-s', '1422'), `${from} to ${to}`);
    for (const machine of machines)
      assert.ok(await reaches(containerSpace(from), gateway(machine)), `${from} to ${machine}`);
  }
});

test('a machine reaches containers of the network on others', async () => {
  assert.ok(await reaches(machineSpace(1), '10.255.77.13'));
});

test('done again, nothing is changed', async () => {
  changes = 0;
  await programAll();
  assert.equal(changes, 0);
});

test('an address that moves answers from its new machine, to old neighbours too', async () => {
  const [moving, from, to] = ['10.255.77.13', 3, 1];
  assert.equal(places.get(moving), from);
  await stopContainer(moving);
  places.set(moving, to);
  await startContainer(moving);
  await followAll();
  for (const other of ['10.255.77.11', '10.255.77.12'])
    assert.ok(await reaches(containerSpace(other), moving), `${other} to ${moving}`);
  assert.ok(await reaches(machineSpace(from), moving));
});

test('an address that is let go leaves no entry anywhere', async () => {
  const gone = '10.255.77.12';
  await stopContainer(gone);
  places.delete(gone);
  looks = 0;
  await followAll();
  assert.equal(looks, machines.length, 'only the look afterwards');
  for (const machine of machines)
    for (const list of [
      ['bridge', 'fdb', 'show'],
      ['ip', 'neigh', 'show', 'nud', 'permanent'],
    ]) {
      const { stdout } = await inside(machineSpace(machine), ...list);
      const rows = stdout.split('\n').filter((row) => row.includes(macOf(gone)));
      assert.deepEqual(rows, [], `machine ${machine}: ${list.join(' ')}`);
    }
});

test('what is taken away or added by hand is put right; what is not ours stays', async () => {
  const space = machineSpace(2);
  await ip('-n', space, 'link', 'add', 'others', 'type', 'vxlan', 'id', '77', 'dstport', '8472');
  await ip('-n', space, 'link', 'del', tunnel);
  await program(2);
  assert.ok(await reaches(containerSpace('10.255.77.11'), gateway(2)));
  const wrong = [
    macOf('10.255.77.99'),
    'dev',
    tunnel,
    'dst',
    memberAddress(3),
    'self',
    'permanent',
  ];
  await inside(space, 'bridge', 'fdb', 'add', ...wrong);
  await program(2);
  const { stdout } = await inside(space, 'bridge', 'fdb', 'show');
  assert.ok(!stdout.includes(macOf('10.255.77.99')));
  await overlays.get(2)?.ensure({ cluster, local: memberAddress(2), mtu: 1450, networks: [] });
  const links = (await ip('-n', space, 'link', 'show')).stdout;
  assert.ok(!links.includes(tunnel) && links.includes('others'));
  assert.ok(!links.includes(routesName(cluster)));
  await program(2);
});

/** Listens until the test has ended, and says a word to who connects. */
async function listen(space: string, port: number): Promise<void> {
  const loop = `while busybox nc -l -p ${port} -e echo heard; do :; done`;
  listeners.push(spawn('ip', ['netns', 'exec', space, 'sh', '-c', loop], { detached: true }));
  await waitFor(`${space} to listen`, async () =>
    (await inside(space, 'cat', '/proc/net/tcp', '/proc/net/tcp6')).stdout.includes(hexOf(port)),
  );
}

const hexOf = (port: number) => `:${port.toString(16).toUpperCase().padStart(4, '0')} `;

async function hears(space: string, address: string, port: number): Promise<boolean> {
  const dial = ['busybox', 'nc', '-w', '2', address, String(port)];
  return inside(space, ...dial).then(
    ({ stdout }) => stdout.includes('heard'),
    () => false,
  );
}

/** Between two callers nobody listens for a moment. */
async function untilHears(space: string, address: string, port: number): Promise<void> {
  await waitFor(`${space} to hear ${address}`, () => hears(space, address, port));
}

describe('routes', () => {
  const outsider = `${id}out`;
  before(async () => {
    await ip('netns', 'add', outsider);
    const peer = ['peer', 'name', 'eth0', 'netns', outsider];
    await ip('-n', cable, 'link', 'add', 'vout', 'type', 'veth', ...peer);
    await ip('-n', cable, 'link', 'set', 'vout', 'master', 'cable', 'up');
    await ip('-n', outsider, 'addr', 'add', `${memberAddress(99)}/24`, 'dev', 'eth0');
    await ip('-n', outsider, 'link', 'set', 'eth0', 'up');
    await listen(containerSpace(bank), 8080);
    for (const port of [routerPort, 7443]) await listen(machineSpace(3), port);
  });

  test('lead each machine to containers of networks that it does not carry, also where sources are checked', async () => {
    for (const machine of machines)
      await inside(machineSpace(machine), 'sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=1');
    for (const machine of machines) await untilHears(machineSpace(machine), bank, 8080);
  });

  test('take no packet of a container, and none of who has a machine as a gateway', async () => {
    const container = containerSpace('10.255.77.11');
    assert.ok(!(await hears(container, bank, 8080)));
    assert.ok(!(await reaches(container, bank, '-W', '1')));
    assert.ok(!(await reaches(container, between(3), '-W', '1')));
    await ip('-n', outsider, 'route', 'add', '10.255.64.0/18', 'via', memberAddress(1));
    assert.ok(!(await hears(outsider, bank, 8080)));
  });

  test('leave it to the store where an address is: one that moved is reached at once', async () => {
    const moving = '10.255.77.11';
    await stopContainer(moving);
    places.set(moving, 3);
    await startContainer(moving);
    await programAll();
    for (const machine of machines)
      assert.ok(await reaches(machineSpace(machine), moving), `machine ${machine}`);
  });

  test('refuse a container on another machine what its own machine refuses, and say who it was', async () => {
    const container = containerSpace('10.255.77.13');
    await untilHears(machineSpace(1), memberAddress(3), 7443);
    assert.equal(places.get('10.255.77.13'), 1);
    await firewalls.get(1)?.refused();
    assert.ok(!(await hears(container, memberAddress(3), 7443)));
    await untilHears(container, memberAddress(3), routerPort);
    assert.deepEqual(await firewalls.get(1)?.refused(), ['10.255.77.13']);
    assert.deepEqual(await firewalls.get(1)?.refused(), []);
  });

  test('a frame that a container or an outsider wraps itself reaches no network', async () => {
    const [target, container] = ['10.255.77.11', containerSpace('10.255.77.13')];
    assert.equal(places.get(target), 3);
    const before = await received(target);
    for (const space of [container, outsider]) await inject(space, memberAddress(3), target);
    assert.equal(await received(target), before);
    // The same frame from a member arrives: it was the firewall that dropped the others.
    await inject(machineSpace(2), memberAddress(3), target);
    assert.equal(await received(target), before + 1);
  });

  test('are gone when the last other machine is', async () => {
    await program(1, { among: [1] });
    const left = await inside(machineSpace(1), 'sh', '-c', 'ip link; ip route; iptables -S');
    assert.ok(!left.stdout.includes(routesName(cluster)), left.stdout);
    assert.doesNotMatch(left.stdout, /GANTRY-(PEER|FORWARD|TUNNEL)|gx/);
  });
});

async function received(address: string): Promise<number> {
  const { stdout } = await inside(containerSpace(address), 'cat', '/proc/net/snmp');
  return unclaimedDatagrams(stdout);
}

async function inject(space: string, member: string, to: string): Promise<void> {
  const forged = { vni: apps.shop.vni, from: gateway(2), to };
  await inside(space, process.execPath, '-e', sendProgram(forged, member));
}
