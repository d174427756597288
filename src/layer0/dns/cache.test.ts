// Is an answer of the world kept as long as it says, and never more of them than the limit?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, decode, encode } from 'dns-packet';
import { FakeClock } from '#core/fake-clock';
import { AnswerCache, lifetime } from './cache.ts';

function anAnswer(ttl: number, fields: { rcode?: number; soaMinimum?: number } = {}): Buffer {
  const answers: Answer[] = [{ type: 'A', name: 'example.com', ttl, data: '192.0.2.1' }];
  const soa: Answer = {
    type: 'SOA',
    name: 'com',
    ttl,
    data: { mname: 'a.com', rname: 'b.com', minimum: fields.soaMinimum ?? 0 },
  };
  return encode({
    type: 'response',
    flags: fields.rcode ?? 0,
    questions: [{ type: 'A', name: 'example.com' }],
    answers: fields.soaMinimum === undefined ? answers : [],
    authorities: fields.soaMinimum === undefined ? [] : [soa],
  });
}

test('an answer is kept for its TTL, which counts down', async () => {
  const clock = new FakeClock();
  const cache = new AnswerCache(clock);
  cache.write('k', anAnswer(10));
  await clock.advance(4_000);
  const kept = cache.read('k');
  const record = kept && decode(kept).answers?.[0];
  assert.ok(record?.type === 'A');
  assert.equal(record.ttl, 6);
  await clock.advance(6_000);
  assert.equal(cache.read('k'), undefined);
});

test('a "no" is kept as long as the SOA allows, at most a minute', () => {
  assert.equal(lifetime(anAnswer(30, { rcode: 3, soaMinimum: 20 }))?.seconds, 20);
  assert.equal(lifetime(anAnswer(900, { rcode: 3, soaMinimum: 900 }))?.seconds, 60);
});

test('failures, truncated answers and nonsense are not kept', () => {
  assert.equal(lifetime(anAnswer(30, { rcode: 2 })), undefined);
  assert.equal(lifetime(anAnswer(30, { rcode: 0x0200 })), undefined);
  const cut = anAnswer(30);
  assert.equal(lifetime(cut.subarray(0, cut.length - 3)), undefined);
});

test('it never holds more than its limit, and what was used last stays', () => {
  const cache = new AnswerCache(new FakeClock(), 2);
  cache.write('a', anAnswer(10));
  cache.write('b', anAnswer(10));
  cache.read('a');
  cache.write('c', anAnswer(10));
  assert.equal(cache.size, 2);
  assert.ok(cache.read('a') && cache.read('c') && !cache.read('b'));
});
