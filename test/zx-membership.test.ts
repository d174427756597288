// Who may talk to a machine of a cluster, and is it the same machine after a reboot? Every port that is open is explained.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Bed, untilServes } from './cluster/bed.ts';
import type { Machine } from './cluster/machine.ts';
import { waitFor } from './cluster/wait.ts';

const run = promisify(execFile);
const peerPort = 7443;

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
