// Containers of one app on several machines reach each other, also after an address moved; nothing that is not recorded stays.
// Needs root, iproute2 and busybox: machines and containers are network namespaces, without an engine.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { macOf } from '../src/layer0/network/decide/cidr.ts';
import { bridgeName } from '../src/layer0/network/decide/names.ts';
import { type Endpoint, tunnelName } from '../src/layer0/network/decide/overlay.ts';
import { createOverlay } from '../src/layer0/network/overlay.ts';
import { type RunCommand, runCommand } from '../src/layer0/network/run-command.ts';

const run = promisify(execFile);
const id = `go${randomBytes(2).toString('hex')}`;
const cluster = `cluster-${id}`;
const vni = 0xabc;
const bridge = bridgeName(cluster, vni);
const tunnel = tunnelName(cluster, vni);
const machines = [1, 2, 3];
const memberAddress = (machine: number) => `10.254.77.${machine}`;
const gateway = (machine: number) => `10.255.77.${machine}`;
/** Which machine a container's address is on: what the store would say. */
const places = new Map([
  ['10.255.77.11', 1],
  ['10.255.77.12', 2],
  ['10.255.77.13', 3],
]);

/** The network between the machines, apart from the filters of this one. */
const cable = `${id}cable`;
const machineSpace = (machine: number) => `${id}m${machine}`;
const containerSpace = (ip: string) => `${id}c${ip.split('.')[3]}`;
const ip = (...args: string[]) => run('ip', args);
const inside = (space: string, ...command: string[]) =>
  run('ip', ['netns', 'exec', space, ...command]);

/** Counts what changes: commands with an input. */
let changes = 0;
const runOn =
  (machine: number): RunCommand =>
  (file, args, input) => {
    if (input !== undefined) changes++;
    return runCommand('ip', ['netns', 'exec', machineSpace(machine), file, ...args], input);
  };
const overlays = new Map(machines.map((machine) => [machine, createOverlay(runOn(machine))]));

async function program(machine: number): Promise<void> {
  const endpoints: Endpoint[] = machines
    .filter((other) => other !== machine)
    .map((other) => ({ ip: gateway(other), member: memberAddress(other) }));
  for (const [address, place] of places)
    if (place !== machine) endpoints.push({ ip: address, member: memberAddress(place) });
  const network = { vni, bridge, gateway: gateway(machine), endpoints };
  const local = memberAddress(machine);
  await overlays.get(machine)?.ensure({ cluster, local, mtu: 1450, networks: [network] });
}

const programAll = async () => {
  for (const machine of machines) await program(machine);
};

async function makeMachine(machine: number): Promise<void> {
  const space = machineSpace(machine);
  await ip('netns', 'add', space);
  const port = `v${machine}`;
  const peer = ['peer', 'name', 'eth0', 'netns', space];
  await ip('-n', cable, 'link', 'add', port, 'type', 'veth', ...peer);
  await ip('-n', cable, 'link', 'set', port, 'master', 'cable', 'up');
  for (const args of [
    ['addr', 'add', `${memberAddress(machine)}/24`, 'dev', 'eth0'],
    ['link', 'set', 'eth0', 'up'],
    ['link', 'add', bridge, 'type', 'bridge'],
    ['addr', 'add', `${gateway(machine)}/24`, 'dev', bridge],
    ['link', 'set', bridge, 'mtu', '1450', 'up'],
  ])
    await ip('-n', space, ...args);
}

async function startContainer(address: string): Promise<void> {
  const [space, machine] = [containerSpace(address), machineSpace(places.get(address) ?? 0)];
  await ip('netns', 'add', space);
  const outer = `v${address.split('.')[3]}`;
  const peer = ['peer', 'name', 'eth0', 'address', macOf(address), 'netns', space];
  await ip('-n', machine, 'link', 'add', outer, 'mtu', '1450', 'type', 'veth', ...peer);
  await ip('-n', machine, 'link', 'set', outer, 'master', bridge, 'up');
  await ip('-n', space, 'link', 'set', 'lo', 'up');
  await ip('-n', space, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
  await ip('-n', space, 'link', 'set', 'eth0', 'mtu', '1450', 'up');
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
  const { stdout } = await ip('netns', 'list');
  for (const line of stdout.split('\n'))
    if (line.startsWith(id)) await ip('netns', 'del', line.split(' ')[0] ?? '');
});

test('each container reaches each other one and every gateway, with whole packets of the MTU', async () => {
  for (const from of places.keys()) {
    for (const to of places.keys())
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
  await programAll();
  for (const other of ['10.255.77.11', '10.255.77.12'])
    assert.ok(await reaches(containerSpace(other), moving), `${other} to ${moving}`);
  assert.ok(await reaches(machineSpace(from), moving));
});

test('an address that is let go leaves no entry anywhere', async () => {
  const gone = '10.255.77.12';
  await stopContainer(gone);
  places.delete(gone);
  await programAll();
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
});
