// Which ports of a machine may a user's process have, and what does its spec say then?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { App, MachinePort, Release } from '../wire.ts';
import { refusePlatformPorts } from './host-ports.ts';
import { oneOffSpec, specsOf } from './job-spec.ts';

const platform = { httpPort: 8080, httpsPort: 0, tcpPortMin: 3000, tcpPortMax: 3500 };
const tcp = (hostPort: number): MachinePort => ({ hostPort, protocol: 'tcp' });

test('ports of the platform are refused, and it is said whose they are', () => {
  for (const [port, what] of [
    [53, /DNS/],
    [80, /the router/],
    [8080, /the router/],
    [3000, /TCP routes .*\(3000 to 3500\)/],
    [4789, /the network between machines/],
    [7443, /7443 to 7452/],
    [7452, /7443 to 7452/],
    [21_004, /the platform's own processes/],
  ] as const)
    assert.throws(() => refusePlatformPorts([tcp(port)], platform), what, String(port));
  refusePlatformPorts([tcp(9000), { hostPort: 9000, protocol: 'udp' }, tcp(2999)], platform);
  assert.throws(() => refusePlatformPorts([tcp(9000), tcp(9000)], platform), /9000\/tcp is named/);
});

test('a port of the machine is in the spec of its type, after what PORT says, and not in that of a one-off', () => {
  const app = { id: 'app-1', name: 'shop', limits: {} } as App;
  const hostPorts = [
    { hostPort: 9000, port: 9100, protocol: 'tcp' },
    { hostPort: 27_015, protocol: 'udp' },
  ];
  const release = {
    id: 'rel-1',
    version: 1,
    imageId: 'sha256:a',
    sealedEnv: {},
    processes: { web: {}, worker: {} },
    placements: { web: { hostPorts }, worker: { hostPorts: [tcp(9002)] } },
  } as unknown as Release;
  const { web, worker } = specsOf(release, app);
  assert.deepEqual(web?.ports, [
    { name: 'http', port: 8080, protocol: 'tcp' },
    { name: 'host-9000-tcp', port: 9100, protocol: 'tcp', hostPort: 9000 },
    { name: 'host-27015-udp', port: 27_015, protocol: 'udp', hostPort: 27_015 },
  ]);
  assert.deepEqual(
    worker?.ports.map(({ port, hostPort }) => [port, hostPort]),
    [[9002, 9002]],
  );
  assert.equal(worker?.health.type, 'none');
  const oneOff = { command: ['sh'], tty: false, openStdin: false, sealedEnv: {} };
  assert.deepEqual(oneOffSpec(release, app, oneOff)?.ports, []);
});
