// Is everything that belongs to two named, and nothing else?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findDoubles, type Holdings } from './doubles.ts';

const network = (app: string, subnet: string, vni: number) => ({
  app,
  appName: app,
  subnet,
  vni,
  networkName: app,
  bridge: app,
  gatewayHost: 'host-1',
});
const held = (ip: string, job: string) => ({ app: 'shop', ip, job, host: 'host-1' });
const right: Holdings = {
  networks: [network('shop', '10.64.0.0/24', 1), network('bank', '10.64.1.0/24', 2)],
  addresses: [held('10.64.0.2', 'job-1'), { ...held('10.64.0.3', 'job-0'), freedAt: 1 }],
  jobs: new Map([['job-1', { app: 'shop', ip: '10.64.0.2' }]]),
  running: [{ job: 'job-1', app: 'shop', address: '10.64.0.2' }],
};

test('where everything has one owner, nothing is said', () => {
  assert.deepEqual(findDoubles(right), []);
});

test('what two have is named with both of them', () => {
  const wrong: Holdings = {
    networks: [network('shop', '10.64.0.0/23', 1), network('bank', '10.64.1.0/24', 1)],
    addresses: right.addresses,
    jobs: new Map([
      ...right.jobs,
      ['job-2', { app: 'shop', ip: '10.64.0.2' }],
      ['job-3', { app: 'shop', ip: '10.64.0.3' }],
    ]),
    running: [...right.running, { job: 'job-2', app: 'shop', address: '10.64.0.2' }],
  };
  assert.deepEqual(findDoubles(wrong), [
    'apps shop and bank have subnets that overlap: 10.64.0.0/23 and 10.64.1.0/24',
    'apps shop and bank have the tunnel number 1',
    "job job-2 holds 10.64.0.2, which is recorded as job-1's",
    'job job-3 holds 10.64.0.3, which is recorded as free',
    'jobs job-1 and job-2 both run at 10.64.0.2',
  ]);
});
