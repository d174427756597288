// A machine as its file says it, for tests.

import type { Machine } from './machine-file.ts';

export function aMachine(change: Partial<Machine> = {}): Machine {
  return {
    clusterId: 'cluster-1',
    hostId: 'host-1',
    name: 'h1',
    address: '192.0.2.1',
    home: '/var/lib/gantry',
    domain: 'gantry.localhost',
    isTls: false,
    httpPort: 80,
    httpsPort: 443,
    engineFolder: '/run',
    engineSocket: 'docker.sock',
    ...change,
  };
}
