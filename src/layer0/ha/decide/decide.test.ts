// Which machines get a copy of the store, and how its copies are put into words.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hasCode } from '#core/errors';
import { neededBytes } from '../config.ts';
import type { MemberStatus } from '../wire.ts';
import { missingWithout } from './can-spare.ts';
import { chooseHosts, type Machine } from './choose-hosts.ts';
import { type ListedMember, planMembers } from './plan-members.ts';
import { summarize } from './summarize.ts';

const aMachine = (name: string, change: Partial<Machine['candidate']> | null = {}): Machine => ({
  hostId: `host-${name}`,
  name,
  address: '192.0.2.1',
  port: 7443,
  candidate:
    change === null
      ? undefined
      : { hostId: `host-${name}`, version: 'v2', freeBytes: neededBytes, ...change },
});
const choose = (machines: Machine[], named?: string[]) =>
  chooseHosts({ machines, self: 'host-b', version: 'v2', named }).map(({ name }) => name);

describe('the machines of a store on etcd', () => {
  test('are the one that has it and two more, by name', () => {
    const machines = ['d', 'c', 'b', 'a'].map((name) => aMachine(name));
    assert.deepEqual(choose(machines), ['b', 'a', 'c']);
  });

  test('are those that somebody named, by name or id', () => {
    const machines = ['d', 'c', 'b', 'a'].map((name) => aMachine(name));
    assert.deepEqual(choose(machines, ['d', 'host-c', 'b']), ['b', 'd', 'c']);
  });

  test('are up, of one version, and have room: who is not is named', () => {
    const unfit = [
      aMachine('a'),
      aMachine('b'),
      aMachine('c', null),
      aMachine('d', { version: 'v1' }),
      aMachine('e', { freeBytes: 1 }),
    ];
    assert.throws(
      () => choose(unfit),
      (error: Error) =>
        hasCode(error, 'ha.tooFew') &&
        /2 of 5 are fit: c does not answer; d runs version v1.*; e has 0.0 GiB/.test(error.message),
    );
    const refused = (named: string[], text: RegExp) =>
      assert.throws(
        () => choose(unfit, named),
        (error: Error) => text.test(error.message),
      );
    refused(['a', 'b', 'c'], /c does not answer/);
    refused(['a', 'b', 'x'], /x is no machine/);
    refused(['a', 'b', 'b'], /3 different machines/);
    refused(['a', 'd', 'e'], /b has the store now/);
  });
});

describe('the copies of a store', () => {
  const aMember = (name: string, change: Partial<MemberStatus> = {}): MemberStatus => ({
    hostId: name,
    url: '',
    isReachable: true,
    isLeader: false,
    isLearner: false,
    dbBytes: 1,
    ...change,
  });
  const say = (members: MemberStatus[]) => summarize(members, (hostId) => hostId);
  const away = { isReachable: false };

  test('are healthy when all answer', () => {
    const members = [aMember('a', { isLeader: true }), aMember('b'), aMember('c')];
    const summary = '3 of 3 copies of the store answer, a leads';
    assert.deepEqual(say(members), { health: 'healthy', summary });
  });

  test('are degraded when one is away, and it is named', () => {
    const said = say([aMember('a', { isLeader: true }), aMember('b', away), aMember('c')]);
    assert.equal(said.health, 'degraded');
    assert.match(said.summary, /2 of 3 .* away: b/);
  });

  test('are degraded by an alarm, which is told in words', () => {
    const full = { alarm: 'NOSPACE' };
    const said = say([aMember('a', { isLeader: true }), aMember('b', full), aMember('c')]);
    assert.equal(said.health, 'degraded');
    assert.match(said.summary, /3 of 3 .*; b: its database is full: deletes are taken/);
  });

  test('have no quorum with one of three, nor without a leader; a learner is no copy yet', () => {
    const one = [aMember('a'), aMember('b', away), aMember('c', away)];
    assert.equal(say(one).health, 'no-quorum');
    assert.match(say(one).summary, /nothing new is decided, everything runs on/);
    assert.equal(say([aMember('a'), aMember('b'), aMember('c')]).health, 'no-quorum');
    const learning = [aMember('a', { isLeader: true }), aMember('b', { isLearner: true, ...away })];
    assert.equal(say(learning).health, 'healthy');
  });
});

describe('the members of etcd', () => {
  const node = (name: string) => ({
    hostId: `host-${name}`,
    clientUrl: `https://${name}:7444`,
    peerUrl: `https://${name}:7445`,
  });
  const machine = (name: string, isFit = true) => ({ node: node(name), name, isFit });
  const member = (name: string, change: Partial<ListedMember> = {}): ListedMember => ({
    id: `id-${name}`,
    name: `host-${name}`,
    peerUrl: node(name).peerUrl,
    isLearner: false,
    ...change,
  });
  const [a, b, c] = [member('a'), member('b'), member('c')];
  const plan = (listed: ListedMember[], names: string[]) =>
    planMembers(
      listed,
      names.map((name) => machine(name)),
      3,
    );

  test('are left alone while each has its machine, also one that is away', () => {
    assert.equal(plan([a, b, c], ['a', 'b', 'c', 'd']), undefined);
    assert.equal(
      planMembers([a, b, c], [machine('a'), machine('b'), machine('c', false)], 3),
      undefined,
    );
    assert.equal(plan([a, b, c], []), undefined, 'nothing is known of the machines');
  });

  test('lose the one whose machine was removed, then another machine learns and gets the vote', () => {
    assert.deepEqual(plan([a, b, c], ['a', 'b', 'd']), {
      kind: 'remove',
      id: 'id-c',
      name: 'host-c',
    });
    assert.deepEqual(plan([a, b], ['a', 'b', 'd']), { kind: 'add', node: node('d') });
    const added = member('d', { name: '', isLearner: true });
    assert.deepEqual(plan([a, b, added], ['a', 'b', 'd']), {
      kind: 'start',
      id: 'id-d',
      node: node('d'),
    });
    const learner = member('d', { isLearner: true });
    const promoted = { kind: 'promote', id: 'id-d', name: 'host-d' };
    assert.deepEqual(plan([a, b, learner], ['a', 'b', 'd']), promoted);
  });

  test('wait for a machine that is fit', () => {
    const machines = [machine('a'), machine('b'), machine('d', false)];
    assert.equal(planMembers([a, b], machines, 3), undefined);
    const added = member('d', { name: '', isLearner: true });
    assert.equal(planMembers([a, b, added], machines, 3), undefined);
  });
});

describe('a copy of the store', () => {
  const member = (hostId: string, isReachable = true, isLearner = false) => ({
    hostId,
    isReachable,
    isLearner,
  });
  test('can be away for a moment while the others are enough without it', () => {
    const [a, b, c, c0] = [member('a'), member('b'), member('c'), member('c', false)];
    assert.deepEqual(missingWithout([a, b, c], 'a'), []);
    assert.deepEqual(missingWithout([a, b, c0], 'a'), ['c']);
    const five = [a, b, c, member('d'), member('e', false)];
    assert.deepEqual(missingWithout(five, 'a'), []);
  });

  test('of two or of one waits for nobody who is there: nothing better will come', () => {
    assert.deepEqual(missingWithout([member('a'), member('b')], 'a'), []);
    assert.deepEqual(missingWithout([member('a'), member('b', false)], 'a'), ['b']);
    assert.deepEqual(missingWithout([member('a')], 'a'), []);
  });

  test('does not count on one that only learns', () => {
    const learner = member('d', true, true);
    assert.deepEqual(missingWithout([member('a'), member('b', false), learner], 'a'), ['b']);
  });
});
