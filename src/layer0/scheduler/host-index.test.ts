// What is kept up to date entry by entry is what counting anew would find.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '#core/random';
import { hostAliveKey, hostKey, statusKey } from '#layer0/host/wire';
import { ClusterState, type StateEntry } from './cluster-state.ts';
import { aHost, aJob, aSpec, aStatus, megabyte } from './fake.ts';
import type { KnownHost } from './host-index.ts';
import { jobKey } from './wire.ts';

test('after any changes, in any order, the index is that of a state that saw only what is left', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = seededRandom(seed);
    const entries = new Map<string, StateEntry>();
    const state = new ClusterState(() => 0);
    for (let change = 1; change <= 60; change++) {
      const { key, value } = anEntry(random);
      if (random() < 0.35) {
        entries.delete(key);
        state.delete(key);
      } else {
        const entry = { key, value, modRevision: change };
        entries.set(key, entry);
        state.put(entry);
      }
    }
    const counted = new ClusterState(() => 0);
    for (const entry of entries.values()) counted.put(entry);
    assert.deepEqual(told(state), told(counted), `seed ${seed}`);
  }
});

function told(state: ClusterState): unknown[] {
  const hosts = [...state.hosts.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  return hosts.map((host) => toldOf(state, host));
}

function toldOf({ index }: ClusterState, { id, slot, ports, records }: KnownHost) {
  const { isThere, offeredMemoryBytes, memoryBytes, cpuMillis, pids, jobs, neighbours } = index;
  const columns = [isThere, offeredMemoryBytes, memoryBytes, cpuMillis, pids, jobs];
  return {
    id,
    records,
    ports: [...ports].sort(),
    sums: columns.map((column) => column[slot]),
    groups: releases.map((release) => neighbours.ofGroup(`app-shop/${release}/web`).get(slot) ?? 0),
    kind: [...neighbours.ofKind('app-shop/web')].map((counts) => counts.get(slot) ?? 0).sort(),
    refusing: neighbours.refusing('app-shop/cache').get(slot) ?? 0,
  };
}

const releases = ['rel-1', 'rel-2'];

function anEntry(random: Random): { key: string; value: unknown } {
  const pick = (count: number) => 1 + Math.floor(random() * count);
  const host = `h${pick(4)}`;
  const id = `job-${pick(8)}`;
  const kind = pick(4);
  if (kind === 1) return { key: hostKey(host), value: aHost({ id: host }) };
  if (kind === 2) return { key: hostAliveKey(host), value: {} };
  const state = random() < 0.5 ? 'up' : 'down';
  if (kind === 3) return { key: statusKey(id), value: aStatus({ jobId: id, state }) };
  const resources = { memoryBytes: pick(9) * 4 * megabyte, cpuMillis: pick(9), pids: pick(9) };
  const ports = [{ name: 'http', port: 80 + pick(2), protocol: 'tcp' as const }];
  const job = aJob({
    id,
    release: releases[pick(2) - 1] ?? '',
    spec: aSpec({ resources, network: 'host', ports }),
    ...(random() < 0.8 ? { host } : {}),
    ...(random() < 0.5 ? { rules: { apart: [{ type: 'cache', isRequired: true }] } } : {}),
  });
  return { key: jobKey(id), value: job };
}
