// What each name means inside one app, read back by another implementation's decoder.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, type RecordType } from 'dns-packet';
import { addressesOf, aQuestion, aTable } from './fake.ts';
import { encodeAnswer, parseQuery, udpLimit } from './packet.ts';
import { Zone } from './zone.ts';

const table = aTable();
const listener = { address: '10.64.1.1', subnet: '10.64.1.0/24', app: 'shop' };

function ask(zone: Zone, name: string, type: RecordType = 'A', udpBytes = 0): Buffer | undefined {
  const query = parseQuery(aQuestion(name, type, udpBytes));
  assert.ok(typeof query === 'object');
  const answer = zone.resolve(query);
  return answer && encodeAnswer(query, answer, udpLimit(query));
}

function rcodeOf(answer: Buffer | undefined): number | undefined {
  return answer && answer.readUInt16BE(2) & 15;
}

test('a service answers with all its instances, another one first each time', () => {
  const zone = new Zone(table, listener);
  const name = 'web.shop.service.gantry';
  const answers = [0, 1, 2].map(() => addressesOf(ask(zone, name)));
  assert.deepEqual(
    answers.map((list) => list.toSorted()),
    Array(3).fill(['10.64.1.2', '10.64.1.3', '10.64.1.4']),
  );
  assert.equal(new Set(answers.map((list) => list[0])).size, 3);
});

test('one instance, the leader and the short form have names too', () => {
  const leader = { address: '10.64.1.9', port: 1, id: '7.pg.shop', isLeader: true as const };
  const zone = new Zone(aTable({ services: { ...table.services, 'pg.shop': [leader] } }), listener);
  assert.deepEqual(addressesOf(ask(zone, '2.web.shop.service.gantry')), ['10.64.1.3']);
  assert.deepEqual(addressesOf(ask(zone, 'leader.pg.shop.service.gantry')), ['10.64.1.9']);
  assert.equal(addressesOf(ask(zone, 'web')).length, 3);
  assert.equal(addressesOf(ask(zone, 'WEB.Shop.service.Gantry')).length, 3);
});

test('names of another app do not exist', () => {
  const zone = new Zone(table, listener);
  for (const name of ['web.other.service.gantry', '1.web.other.service.gantry', 'nothing'])
    assert.equal(rcodeOf(ask(zone, name)), 3, name);
});

test("an answer of nothing carries the zone's SOA and is authoritative", () => {
  const zone = new Zone(table, listener);
  const noData = ask(zone, 'web.shop.service.gantry', 'AAAA');
  const noName = ask(zone, 'gone.shop.service.gantry');
  assert.equal(rcodeOf(noData), 0);
  assert.equal(rcodeOf(noName), 3);
  for (const answer of [noData, noName]) {
    const packet = decode(answer ?? Buffer.alloc(0));
    assert.equal(packet.flag_aa, true);
    assert.equal(packet.answers?.length, 0);
    assert.equal(packet.authorities?.[0]?.type, 'SOA');
  }
});

test('SRV gives port and a target that resolves', () => {
  const zone = new Zone(table, listener);
  for (const name of ['_web._tcp.shop.service.gantry', 'web.shop.service.gantry']) {
    const packet = decode(ask(zone, name, 'SRV') ?? Buffer.alloc(0));
    assert.equal(packet.answers?.length, 3);
    const record = packet.answers?.[0];
    assert.ok(record?.type === 'SRV');
    assert.equal(record.data.port, 8080);
    assert.equal(addressesOf(ask(zone, record.data.target)).length, 1);
  }
});

test("the router's names answer with the gateway that was asked", () => {
  const zone = new Zone(table, listener);
  assert.deepEqual(addressesOf(ask(zone, 'api.gantry.localhost')), ['10.64.1.1']);
  assert.deepEqual(addressesOf(ask(zone, 'gantry.localhost')), ['10.64.1.1']);
  assert.equal(rcodeOf(ask(zone, 'api.gantry.localhost', 'AAAA')), 0);
});

test('a label with a dot in it is not two labels, and the words of JavaScript are no services', () => {
  const zone = new Zone(table, listener);
  const dotted = parseQuery(aQuestion('webxshop.service.gantry'));
  assert.ok(typeof dotted === 'object');
  const answer = zone.resolve({ ...dotted, name: dotted.name.replace('x', '.') });
  assert.equal(answer?.rcode, 3);
  for (const name of ['constructor', '__proto__', '__proto__.shop.service.gantry'])
    assert.equal(rcodeOf(ask(zone, name)), 3, name);
});

test('everything else is for the world to answer', () => {
  const zone = new Zone(table, listener);
  for (const name of ['example.com', 'web.shop', 'notgantry.localhost', 'xservice.gantry'])
    assert.equal(ask(zone, name), undefined, name);
});

test('an answer that is too long says so, and EDNS makes room', () => {
  const many = Array.from({ length: 60 }, (_, at) => ({
    address: `10.64.1.${at + 2}`,
    port: 80,
    id: `${at}.web.shop`,
  }));
  const zone = new Zone(aTable({ services: { 'web.shop': many } }), listener);
  const short = ask(zone, 'web.shop.service.gantry') ?? Buffer.alloc(0);
  assert.equal(decode(short).flag_tc, true);
  assert.ok(short.length <= 512 && addressesOf(short).length > 20);
  const long = ask(zone, 'web.shop.service.gantry', 'A', 4096) ?? Buffer.alloc(0);
  assert.equal(decode(long).flag_tc, false);
  assert.equal(addressesOf(long).length, 60);
  assert.equal(decode(long).additionals?.[0]?.type, 'OPT');
});

test('instances whose id claims another name do not get it', () => {
  const liar = { address: '10.64.1.66', port: 80, id: 'web.shop' };
  const zone = new Zone(aTable({ services: { ...table.services, 'evil.shop': [liar] } }), listener);
  assert.ok(!addressesOf(ask(zone, 'web.shop.service.gantry')).includes('10.64.1.66'));
});

test('names that somebody makes up under a router suffix are not remembered', () => {
  const zone = new Zone(table, listener);
  for (let at = 0; at < 10; at++) ask(zone, `made-up-${at}.gantry.localhost`);
  ask(zone, 'web');
  assert.equal(zone.size, 1);
});

test('a new table answers at once, and a service that it does not touch goes on rotating', () => {
  const name = 'web.shop.service.gantry';
  const first = new Zone(table, listener);
  const [before] = addressesOf(ask(first, name));
  const touched = { 'api.shop': [{ address: '10.64.1.9', port: 1, id: '1.api.shop' }] };
  const same = new Zone(aTable({ services: { ...table.services, ...touched } }), listener, first);
  assert.notEqual(addressesOf(ask(same, name))[0], before);
  const moved = [{ address: '10.64.1.77', port: 80, id: '1.web.shop' }];
  const next = new Zone(aTable({ services: { 'web.shop': moved } }), listener, same);
  assert.deepEqual(addressesOf(ask(next, name)), ['10.64.1.77']);
  const gone = new Zone(aTable({ services: {} }), listener, next);
  assert.equal(rcodeOf(ask(gone, name)), 3);
  const none = new Zone(aTable({ services: { 'web.shop': [] } }), listener, next);
  assert.deepEqual(addressesOf(ask(none, name)), []);
  const elsewhere = new Zone(table, { ...listener, app: 'other' }, next);
  assert.equal(rcodeOf(ask(elsewhere, name)), 3);
});
