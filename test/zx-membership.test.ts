// Who may talk to a machine of a cluster, and is it the same machine after a reboot? Every port that is open is explained.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Bed, untilServes } from './cluster/bed.ts';
import { LoadApp } from './cluster/load-app.ts';
import type { Machine } from './cluster/machine.ts';
import { waitFor } from './cluster/wait.ts';

const run = promisify(execFile);
const peerPort = 7443;
/** Of etcd: its clients and its members. */
const etcdPorts = [7444, 7445];
/** Of the registry here, and the ways to both. */
const registryPorts = [7450, 7451, 7452];

let bed: Bed;
let first: Machine;
let second: Machine;

before(async () => {
  bed = await Bed.of(2);
  first = bed.platform.machine;
  second = bed.machines[1] ?? first;
});

interface Listener {
  address: string;
  port: number;
  program: string;
}

/** TCP, with the program that has it, as the machine's own `ss -ltnp` would list it. */
async function listenersOf(machine: Machine): Promise<Listener[]> {
  const { stdout } = await run('ip', ['netns', 'exec', machine.name, 'ss', '-Hltnp']);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const local = line.trim().split(/\s+/)[3] ?? '';
      const cut = local.lastIndexOf(':');
      return {
        address: local.slice(0, cut).replace(/%.*|[[\]]/g, ''),
        port: Number(local.slice(cut + 1)),
        program: /\(\("([^"]+)"/.exec(line)?.[1] ?? '?',
      };
    });
}

/** Why a machine may listen there; undefined when there is no reason. */
function reasonFor(machine: Machine, { address, port, program }: Listener): string | undefined {
  if (/^127\.|^::1$/.test(address)) return 'loopback';
  if (program === 'haproxy') return 'the router: what users reach';
  if (address === machine.address && port === peerPort) return 'the peer door: mutual TLS';
  if (address === machine.address && program === 'etcd') return 'etcd: mutual TLS';
  if (/^10\./.test(address) && port === 53) return 'DNS on the gateway of an app';
  return undefined;
}

interface Knock {
  address: string;
  port: number;
  code: string;
}

/** What a process in that container gets at each of the ports. */
async function knock(
  machine: Machine,
  container: string,
  addresses: readonly string[],
  ports: readonly number[],
): Promise<Knock[]> {
  const script = `
    const { connect } = require('node:net');
    const knock = (address, port) => new Promise((resolve) => {
      const end = (code) => { socket.destroy(); resolve({ address, port, code }); };
      const socket = connect({ host: address, port, timeout: 5000 }, () => end('connected'));
      socket.on('error', ({ code }) => end(code)).on('timeout', () => end('silence'));
    });
    const all = ${JSON.stringify(addresses.flatMap((address) => ports.map((port) => [address, port])))};
    Promise.all(all.map(([address, port]) => knock(address, port)))
      .then((seen) => console.log(JSON.stringify(seen)));`;
  return JSON.parse(await machine.must(`docker exec ${container} node -e '${quoted(script)}'`));
}

/** From the app's container there, which is refused everywhere; the machine itself is not. Its job. */
async function knockFrom(machine: Machine, name: string): Promise<string> {
  const format = '{{.ID}} {{.Label "gantry.job"}}';
  const list = `docker ps --filter label=gantry.app-name=${name} --format '${format}'`;
  const [container = '', job = ''] = ((await machine.must(list)).split('\n')[0] ?? '').split(' ');
  assert.notEqual(job, '', `${machine.name} has one of them`);
  const addresses = bed.machines.map(({ address }) => address);
  const open = [peerPort, ...etcdPorts];
  for (const each of bed.machines) await listenAsEtcd(each);
  await waitFor(`${machine.name} to reach what is open to machines`, async () => {
    const reached = await knock(machine, 'gantry-host', addresses, open);
    return reached.every(({ code }) => code === 'connected');
  });
  const seen = await knock(machine, container, addresses, [...open, ...registryPorts]);
  for (const { address, port, code } of seen)
    assert.equal(code, 'ECONNREFUSED', `${machine.name} to ${address}:${port}`);
  return job;
}

const quoted = (script: string) => script.replaceAll("'", '"');

/** Where there is no etcd: it would listen for other machines, too. */
async function listenAsEtcd(machine: Machine): Promise<void> {
  const servers = etcdPorts
    .map((port) => `require("node:net").createServer().listen(${port}, "${machine.address}")`)
    .join(';');
  await machine.must(`docker exec -d gantry-host timeout 120 node -e '${servers}'`);
}

describe('a machine of a cluster', () => {
  test('listens in clear text on loopback only, but for the router and DNS', async (t) => {
    for (const machine of bed.machines) {
      const listeners = await listenersOf(machine);
      const unexplained = listeners.filter((each) => reasonFor(machine, each) === undefined);
      assert.deepEqual(unexplained, [], machine.name);
      assert.ok(listeners.some(({ port }) => port === peerPort));
      const open = listeners.filter(({ address }) => !address.startsWith('127.'));
      t.diagnostic(
        `${machine.name}: ${open.map((each) => `${each.address}:${each.port} ${reasonFor(machine, each)}`).join('; ')}`,
      );
    }
  });

  test('lets no container reach a port of any machine that is not for containers, and says who tried', async () => {
    const name = 'knocking';
    const app = await LoadApp.create(bed.platform, name, bed.machines.length);
    const tried = new Map<Machine, string>();
    try {
      for (const machine of bed.machines) tried.set(machine, await knockFrom(machine, name));
    } finally {
      // Addresses that go have every machine look at its firewall now.
      await app.close();
    }
    for (const [machine, job] of tried)
      await waitFor(`the log of ${machine.name} to name ${job}`, async () => {
        const log = await machine.must('docker logs --tail 500 gantry-host 2>&1');
        return log.split('\n').some((line) => line.includes('was refused') && line.includes(job));
      });
  });

  test('refuses a certificate of another authority, and its log says who tried', async () => {
    const folder = '/tmp/foreign';
    const subject = `/CN=${bed.hostId(first)}`;
    await second.must(
      `mkdir -p ${folder} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj '${subject}' -keyout ${folder}/key -out ${folder}/crt 2>/dev/null`,
    );
    const door = `https://${first.address}:${peerPort}/membership/members`;
    const asked = await second.sh(
      `curl -sk -m 10 -o /dev/null -w '%{http_code}' --cert ${folder}/crt --key ${folder}/key ${door}`,
    );
    assert.equal(asked.stdout, '000');
    await second.must(`rm -r ${folder}`);
    const log = await first.must('docker logs --tail 200 gantry-host 2>&1');
    const told = log.split('\n').filter((line) => line.includes('refused at the peer door'));
    assert.match(told.at(-1) ?? '', new RegExp(`${second.address}.*certificate does not count`));
  });

  test('is the same one after a reboot: id, certificate, and nobody joins again', async () => {
    const fingerprint = () =>
      second.must('openssl x509 -in /var/lib/gantry/membership/host.crt -noout -fingerprint');
    const [id, before] = [bed.hostId(second), await fingerprint()];
    await second.reboot();
    await bed.untilAllUp();
    await untilServes(second);
    assert.equal(bed.hostId(second), id);
    assert.equal(await fingerprint(), before);
    const hosts = await bed.hosts();
    assert.equal(hosts.length, bed.machines.length);
    await waitFor('its peer door to answer the other one', async () => {
      const cert = '/var/lib/gantry/membership/host';
      const door = `https://${second.address}:${peerPort}/membership/members`;
      const { stdout } = await first.sh(
        `curl -sk -m 5 -o /dev/null -w '%{http_code}' --cert ${cert}.crt --key ${cert}.key ${door}`,
      );
      return stdout === '200';
    });
  });
});
