// When is history forgotten, a member defragmented, an alarm taken off?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MemberStatus } from '../maintenance.ts';
import {
  type ClusterSeen,
  defragmentAgainMs,
  keepCommits,
  keepMs,
  maxCommits,
  planKeeping,
  worthBytes,
} from './plan-keeping.ts';

const quotaBytes = 1_000 * 1024 * 1024;
const aMember = (url: string, more: Partial<MemberStatus> = {}): MemberStatus => ({
  url,
  memberId: url,
  version: '3.5.16',
  isLeader: false,
  dbBytes: worthBytes,
  usedBytes: worthBytes,
  ...more,
});
const aCluster = (more: Partial<ClusterSeen> = {}): ClusterSeen => {
  const statuses = [aMember('a', { isLeader: true }), aMember('b'), aMember('c')];
  const marks = [{ atMs: 0, revision: 10 }];
  const base = { statuses, memberCount: 3, alarms: [], quotaBytes, nowMs: 0, marks };
  return { ...base, compactedTo: 0, defragmentedAtMs: new Map(), ...more };
};
const hollow = { dbBytes: 3 * worthBytes, usedBytes: worthBytes };
const outOfSpace = { memberId: 'b', alarm: 'NOSPACE' as const };

test('a cluster in order needs nothing', () => {
  assert.deepEqual(planKeeping(aCluster()), []);
});

test('history that is old and long enough is forgotten, and no more of it than both allow', () => {
  const marks = [
    { atMs: 0, revision: 50_000 },
    { atMs: 1, revision: 55_000 },
    { atMs: keepMs, revision: 60_000 },
  ];
  const at = (nowMs: number, last: number) =>
    planKeeping(aCluster({ nowMs, marks: [...marks, { atMs: nowMs, revision: last }] }));
  assert.deepEqual(at(keepMs - 1, 60_000), []);
  assert.deepEqual(at(keepMs, 60_000), [{ kind: 'compact', revision: 50_000 }]);
  const recent = 50_000 + keepCommits - 7;
  assert.deepEqual(at(keepMs, recent), [{ kind: 'compact', revision: 49_993 }]);
  const busy = 60_000 + maxCommits;
  assert.deepEqual(at(keepMs, busy), [{ kind: 'compact', revision: 60_000 }]);
});

test('a few commits are not worth a compaction', () => {
  const marks = [
    { atMs: 0, revision: 50_000 },
    { atMs: keepMs, revision: 90_000 },
  ];
  assert.deepEqual(planKeeping(aCluster({ nowMs: keepMs, marks, compactedTo: 49_500 })), []);
});

test('one member at a time is defragmented, the leader last', () => {
  const leader = aMember('a', { isLeader: true, ...hollow });
  const plan = (...statuses: MemberStatus[]) => planKeeping(aCluster({ statuses }));
  assert.deepEqual(plan(leader, aMember('b', hollow), aMember('c', hollow)), [
    { kind: 'defragment', url: 'b' },
  ]);
  assert.deepEqual(plan(leader, aMember('b'), aMember('c')), [{ kind: 'defragment', url: 'a' }]);
});

test('no member is defragmented while another is away', () => {
  const statuses = [aMember('a', { isLeader: true }), aMember('b', hollow)];
  assert.deepEqual(planKeeping(aCluster({ statuses })), []);
});

test('out of space, all history goes, then the room is given back, then the alarm is taken off', () => {
  const full = { dbBytes: quotaBytes, usedBytes: quotaBytes };
  const statuses = [aMember('a', { isLeader: true }), aMember('b', full), aMember('c')];
  const alarms = [outOfSpace];
  const defragmentB = { kind: 'defragment', url: 'b' };
  assert.deepEqual(planKeeping(aCluster({ statuses, alarms })), [
    { kind: 'compact', revision: 10 },
    defragmentB,
  ]);
  const later = { alarms, compactedTo: 10, defragmentedAtMs: new Map([['b', 0]]) };
  const at = (nowMs: number) => planKeeping(aCluster({ ...later, statuses, nowMs }));
  assert.deepEqual(at(defragmentAgainMs - 1), [], 'a member is defragmented without a rest');
  assert.deepEqual(at(defragmentAgainMs), [defragmentB]);
  assert.deepEqual(planKeeping(aCluster(later)), [{ kind: 'disarm', alarm: outOfSpace }]);
});
