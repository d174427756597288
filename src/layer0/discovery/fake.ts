// For tests: instances out of a number.

import type { Instance } from './wire.ts';

export function anInstance(index: number, overrides: Partial<Instance> = {}): Instance {
  return {
    id: `${index}.web.shop`,
    service: 'web.shop',
    job: `job-${index}`,
    address: `10.64.0.${index + 1}`,
    port: 8080,
    ports: { http: 8080 },
    state: 'up',
    host: 'host-1',
    createdAt: index,
    metadata: {},
    ...overrides,
  };
}
