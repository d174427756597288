// What is listened for here, and what of ours may be reached.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isLoopback } from '#layer0/discovery/client';
import { anInstance } from '#layer0/discovery/fake';
import type { Instance } from '#layer0/discovery/wire';
import { isOffered, wantedTunnels } from './plan.ts';

const services = (...instances: Instance[]) => new Map([['controller.gantry', instances]]);
const there = anInstance(1, {
  host: 'host-b',
  address: '127.70.1.2',
  port: 10_001,
  ports: { http: 10_001 },
});

describe('a port is listened for', () => {
  test('for each port of a process on the loopback of another machine', () => {
    const two = { ...there, ports: { http: 10_001, debug: 10_002 } };
    const wanted = wantedTunnels(services(two), 'host-a');
    assert.deepEqual([...wanted.keys()], ['127.70.1.2:10001', '127.70.1.2:10002']);
    assert.deepEqual(wanted.get('127.70.1.2:10001'), {
      address: '127.70.1.2',
      port: 10_001,
      host: 'host-b',
      handle: 'job-1',
    });
  });

  test('not for what is here, in a network of an app, without a port, or registered by a program', () => {
    const others = [
      { ...there, host: 'host-a', address: '127.0.0.1' },
      { ...there, address: '10.64.0.9' },
      { ...there, port: 0, ports: {} },
      { ...there, host: '', ttlMs: 10_000 },
    ];
    assert.equal(wantedTunnels(services(...others), 'host-a').size, 0);
    assert.ok(isLoopback('127.0.0.1'));
  });
});

describe('a port of this machine is reached', () => {
  const own = { ...there, address: '127.0.0.1' };
  const ask = (instance: Instance, handle = 'job-1', port = 10_001) =>
    isOffered(services(instance), { here: 'host-b', handle, port });

  test('by the process that has it now, and by no other name or number', () => {
    assert.equal(ask(own), true);
    assert.equal(ask(own, 'job-2'), false);
    assert.equal(ask(own, 'job-1', 22), false);
  });

  test('not when the process is elsewhere, in a container network, or was registered by a program', () => {
    assert.equal(ask({ ...own, host: 'host-c' }), false);
    assert.equal(ask({ ...own, address: '10.64.0.9' }), false);
    assert.equal(ask({ ...own, ttlMs: 1_000 }), false);
  });
});
