// A refusal is explained by the filter that refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aProcess, aSpec, aState, gigabyte, limits } from '../fake.ts';
import type { Claimant } from '../host-index.ts';
import type { JobSpec } from '../wire.ts';
import { formatBytes } from './filters.ts';
import { placeJob } from './place-job.ts';
import { PlanBoard } from './plan-board.ts';

function aClaimant(spec: Partial<JobSpec> = {}, change: Partial<Claimant> = {}): Claimant {
  const { placement } = aProcess();
  return {
    app: 'app-shop',
    release: 'rel-1',
    type: 'web',
    spec: aSpec(spec),
    placement,
    ...change,
  };
}

function placeOn(state: ReturnType<typeof aState>, claimant: Claimant) {
  return placeJob(new PlanBoard(state), claimant, limits);
}

test('a tag that no host has is named, with the number of hosts asked', () => {
  const state = aState({ hosts: [{ id: 'h1' }] });
  assert.deepEqual(placeOn(state, aClaimant({ tags: { disk: 'ssd' } })), {
    pendingReason: 'no host matches tag disk=ssd (1 host)',
  });
});

test('a tag takes the job to the host that has it', () => {
  const state = aState({ hosts: [{ id: 'h1' }, { id: 'h2', tags: { disk: 'ssd' } }] });
  assert.deepEqual(placeOn(state, aClaimant({ tags: { disk: 'ssd' } })), { host: 'h2' });
});

test('too little memory names the need and the best that is free', () => {
  const resources = { memoryBytes: 4 * gigabyte, cpuMillis: 1, pids: 1 };
  const state = aState({ hosts: [{ id: 'h1', memoryBytes: Math.round(1.2 * gigabyte) }] });
  assert.deepEqual(placeOn(state, aClaimant({ resources })), {
    pendingReason: 'not enough memory: needs 4 GB, 1.2 GB free on h1',
  });
});

test('cpu is a share: four times what a host has may be promised, and no more', () => {
  const resources = { memoryBytes: gigabyte, cpuMillis: 4000, pids: 1 };
  const state = aState({ hosts: [{ id: 'h1', cpuMillis: 1000 }] });
  assert.deepEqual(placeOn(state, aClaimant({ resources })), { host: 'h1' });
  const more = { ...resources, cpuMillis: 4001 };
  assert.deepEqual(placeOn(state, aClaimant({ resources: more })), {
    pendingReason: 'not enough cpu: needs 4001m, 4000m free on h1',
  });
});

test('a host port is given once', () => {
  const spec = { network: 'host', ports: [{ name: 'http', port: 80, protocol: 'tcp' }] } as const;
  const job = { spec: aSpec({ ...spec, ports: [...spec.ports] }), host: 'h1' };
  const state = aState({ hosts: [{ id: 'h1' }], jobs: [job] });
  assert.deepEqual(placeOn(state, aClaimant({ ...spec, ports: [...spec.ports] })), {
    pendingReason: 'port 80/tcp is taken on h1',
  });
});

test("a port of the machine that a user's process has is given once, to whichever app, and for each protocol", () => {
  const having = (protocol: 'tcp' | 'udp', hostPort: number) =>
    aSpec({ ports: [{ name: 'game', port: 8080, protocol, hostPort }] });
  const jobs = [{ app: 'app-other', spec: having('tcp', 9000), host: 'h1' }];
  const state = aState({ hosts: [{ id: 'h1' }], jobs });
  assert.deepEqual(placeOn(state, aClaimant(having('tcp', 9000))), {
    pendingReason: 'port 9000/tcp is taken on h1',
  });
  assert.deepEqual(placeOn(state, aClaimant(having('udp', 9000))), { host: 'h1' });
  assert.deepEqual(placeOn(state, aClaimant(having('tcp', 9001))), { host: 'h1' });
});

test('one per host means one of the release, and a host that is away takes nothing', () => {
  const state = aState({
    hosts: [{ id: 'h1' }, { id: 'h2', isAway: true }],
    jobs: [{ host: 'h1', isOnePerHost: true }],
  });
  assert.deepEqual(placeOn(state, aClaimant({}, { isOnePerHost: true })), {
    pendingReason: 'one web runs there already (h1); 1 host away (h2)',
  });
});

test('spread goes where fewest of its kind are, binpack where least is left over', () => {
  const state = aState({ hosts: [{ id: 'h1' }, { id: 'h2' }], jobs: [{ host: 'h1' }] });
  assert.deepEqual(placeOn(state, aClaimant()), { host: 'h2' });
  assert.deepEqual(placeOn(state, aClaimant({}, { placement: 'binpack' })), { host: 'h1' });
});

test('bytes are told with one decimal where it says something', () => {
  assert.equal(formatBytes(1.2 * gigabyte), '1.2 GB');
  assert.equal(formatBytes(512 * 1024 * 1024), '512 MB');
});
