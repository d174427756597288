// Which ports of a machine may a user's process have? Not those of the platform, on which every machine rests.

import { controllerErrors } from '../errors.ts';
import type { MachinePort } from '../wire.ts';

export interface PlatformPorts {
  httpPort: number;
  httpsPort: number;
  tcpPortMin: number;
  tcpPortMax: number;
}

interface Range {
  from: number;
  to: number;
  what: string;
}

/** As the defaults have them; where an operator moved one, the engine refuses what is taken, and `gantry ps` says so. */
const fixed: readonly Range[] = [
  { from: 53, to: 53, what: 'DNS of the apps' },
  { from: 80, to: 80, what: 'the router' },
  { from: 443, to: 443, what: 'the router' },
  { from: 4789, to: 4789, what: 'the network between machines' },
  { from: 7443, to: 7452, what: 'machines that talk to each other' },
  { from: 21_000, to: 21_999, what: "the platform's own processes" },
];

export function refusePlatformPorts(ports: readonly MachinePort[], platform: PlatformPorts): void {
  const { httpPort, httpsPort, tcpPortMin, tcpPortMax } = platform;
  const all: readonly Range[] = [
    ...fixed,
    ...[httpPort, httpsPort].map((port) => ({ from: port, to: port, what: 'the router' })),
    { from: tcpPortMin, to: tcpPortMax, what: 'TCP routes (gantry route add tcp)' },
  ];
  const seen = new Set<string>();
  for (const { hostPort, protocol } of ports) {
    const taken = all.find(({ from, to }) => hostPort >= from && hostPort <= to);
    if (taken) {
      const range = taken.from === taken.to ? '' : ` (${taken.from} to ${taken.to})`;
      throw controllerErrors.hostPortInvalid(
        `port ${hostPort} of the machines is for ${taken.what}${range}: choose another`,
      );
    }
    const name = `${hostPort}/${protocol}`;
    if (seen.has(name)) throw controllerErrors.hostPortInvalid(`port ${name} is named twice`);
    seen.add(name);
  }
}
