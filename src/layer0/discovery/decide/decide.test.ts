// Every decision of discovery as a table of cases: drains, leaders, changes, what to write, what DNS serves.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { anInstance } from '../fake.ts';
import { diffInstances } from './changes.ts';
import { dnsTable, parseResolvConf } from './dns-table.ts';
import { decideDrain } from './drain.ts';
import { leaderOf } from './leader.ts';
import { decidePublish } from './publish.ts';
import { seenFrom, tunnelAddress } from './seen-from.ts';

const marked = { incarnation: 'inc-1', revision: 10 };
const isLost = (machine: string) => machine === 'gone';
const aConsumer = (appliedRevision: number, busy: string[] = [], incarnation = 'inc-1') => ({
  id: 'router-1',
  appliedRevision,
  incarnation,
  busy,
});

test('a drain waits for each consumer to have applied it and to have no request left', () => {
  const ask = (...consumers: ReturnType<typeof aConsumer>[]) =>
    decideDrain({ handle: 'job-1', marked, consumers, isLost });
  assert.deepEqual(ask(), { mayStop: true, waitsFor: [], isForLostOnly: false });
  assert.equal(ask(aConsumer(9)).mayStop, false);
  assert.equal(ask(aConsumer(10)).mayStop, true);
  assert.equal(ask(aConsumer(12, ['job-1'])).mayStop, false);
  assert.equal(ask(aConsumer(12, ['job-2'])).mayStop, true);
  assert.equal(ask(aConsumer(10), aConsumer(9)).mayStop, false);
});

test('a number of another incarnation of the store says nothing', () => {
  const consumers = [aConsumer(999, [], 'inc-0')];
  assert.equal(decideDrain({ handle: 'job-1', marked, consumers, isLost }).mayStop, false);
});

test('who is on a lost machine is named, and whether anybody else is waited for is said', () => {
  const ask = (...consumers: Parameters<typeof decideDrain>[0]['consumers']) =>
    decideDrain({ handle: 'job-1', marked, consumers, isLost });
  const lost = { ...aConsumer(9, ['job-1']), machine: 'gone' };
  assert.deepEqual(ask(lost, { ...aConsumer(10), machine: 'here' }), {
    mayStop: false,
    isForLostOnly: true,
    waitsFor: ['router-1 is on a machine that is lost'],
  });
  assert.equal(ask(lost, { ...aConsumer(9), machine: 'here' }).isForLostOnly, false);
  assert.equal(ask({ ...aConsumer(10), machine: 'gone' }).mayStop, true);
});

test('before the mark is seen nothing may be stopped', () => {
  const answer = decideDrain({ handle: 'job-1', marked: undefined, consumers: [], isLost });
  assert.equal(answer.mayStop, false);
});

test('the leader is who says so, else the oldest that is up', () => {
  const old = anInstance(1, { createdAt: 10 });
  const young = anInstance(2, { createdAt: 20 });
  assert.equal(leaderOf([young, old]), old);
  assert.equal(leaderOf([young, { ...old, state: 'draining' }]), young);
  const named = { ...young, metadata: { leader: 'true' } };
  assert.equal(leaderOf([old, named]), named);
  assert.equal(leaderOf([]), undefined);
});

test('what happened to a service comes as up, update, down and leader', () => {
  const [one, two, three] = [anInstance(1), anInstance(2), anInstance(3)];
  const draining = { ...two, state: 'draining' as const };
  assert.deepEqual(diffInstances([one, two], [draining, three]), [
    { type: 'update', instance: draining, before: two },
    { type: 'up', instance: three },
    { type: 'down', instance: one },
    { type: 'leader', instance: three },
  ]);
  assert.deepEqual(diffInstances([one], [structuredClone(one)]), []);
});

test('only what is missing, changed or under an old lease is written', () => {
  const published = new Map([
    ['same', { value: { a: 1 }, lease: 'l2', revision: 1 }],
    ['changed', { value: { a: 1 }, lease: 'l2', revision: 1 }],
    ['old', { value: 1, lease: 'l1', revision: 1 }],
    ['gone', { value: 1, lease: 'l2', revision: 1 }],
  ]);
  const wanted = new Map<string, unknown>([
    ['same', { a: 1 }],
    ['changed', { a: 2 }],
    ['old', 1],
    ['new', 1],
  ]);
  assert.deepEqual(decidePublish({ wanted, published, lease: 'l2' }), [
    { put: 'changed', value: { a: 2 }, lease: 'l2' },
    { put: 'old', value: 1, lease: 'l2' },
    { put: 'new', value: 1, lease: 'l2' },
    { delete: 'gone' },
  ]);
});

test('the table of names leaves out what drains and what only the host can reach', () => {
  const up = anInstance(1);
  const services = new Map([
    ['web.shop', [up, anInstance(2, { state: 'draining' })]],
    ['router.gantry', [anInstance(3, { address: '127.0.0.1' })]],
  ]);
  const table = dnsTable({
    domain: 'gantry',
    services,
    listeners: [],
    routerSuffixes: ['gantry.localhost'],
    upstreams: ['192.0.2.53'],
  });
  assert.deepEqual(table.services, {
    'web.shop': [{ address: '10.64.0.2', port: 8080, id: '1.web.shop', isLeader: true }],
  });
});

test('resolvers are read as resolv.conf has them', () => {
  const text =
    '# x\nnameserver 192.0.2.53\nsearch a b\n nameserver\tfd00::1\nnameserver 192.0.2.53\n';
  assert.deepEqual(parseResolvConf(text), ['192.0.2.53', 'fd00::1']);
});

describe('seen from a machine', () => {
  const there = anInstance(1, { host: 'host-b', address: '127.0.0.1', port: 20_001 });

  test('what listens on the loopback of another one has an address of this one, and its own port', () => {
    const seen = seenFrom('host-a', there);
    assert.match(seen.address, /^127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d+\.\d+$/);
    assert.deepEqual({ ...seen, address: '127.0.0.1' }, there);
  });

  test('everything else is as it was registered', () => {
    const program = anInstance(2, { host: '', address: '127.0.0.1' });
    const inNetwork = anInstance(3, { host: 'host-b' });
    assert.equal(seenFrom('host-b', there), there);
    assert.equal(seenFrom(undefined, there), there);
    for (const one of [program, inNetwork]) assert.equal(seenFrom('host-a', one), one);
  });

  test('jobs have addresses of their own', () => {
    const ids = Array.from(
      { length: 300 },
      (_, number) => `job-01k9${String(number).padStart(6, '0')}`,
    );
    assert.equal(new Set(ids.map(tunnelAddress)).size, ids.length);
  });
});
