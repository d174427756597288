// Bytes on etcd's wire: known encodings, what comes back, and what is broken.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#core/random';
import { calls } from './calls.ts';
import { decodeMessage, encodeMessage, type Fields } from './protobuf.ts';

const fields: Fields = {
  number: { number: 1, kind: 'int64' },
  text: { number: 2, kind: 'string' },
  bytes: { number: 3, kind: 'bytes' },
  isSet: { number: 4, kind: 'bool' },
  color: { number: 5, kind: ['RED', 'GREEN'] },
  inner: { number: 6, kind: { number: { number: 1, kind: 'int64' } } },
  many: { number: 20, kind: 'string', isRepeated: true },
};

test('a message is the bytes that the format prescribes', () => {
  const message = { number: '300', text: 'é', isSet: true, color: 'GREEN', inner: { number: '1' } };
  const expected = '08ac02' + '1202c3a9' + '2001' + '2801' + '32020801' + 'a2010161' + 'a20100';
  assert.equal(encodeMessage(fields, { ...message, many: ['a', ''] }).toString('hex'), expected);
});

test('what is encoded is decoded the same, also numbers of 64 bits', () => {
  const random = seededRandom(7);
  const numbers = ['0', '127', '128', '4294967296', '9007199254740991', '9007199254740993'];
  numbers.push('9223372036854775807', '18446744073709551615');
  for (let round = 0; round < 200; round++)
    numbers.push(String(BigInt(Math.floor(random() * 2 ** 52)) << BigInt(round % 12)));
  for (const number of numbers) {
    const message = { number, bytes: Buffer.from(number), inner: { number }, many: ['x', number] };
    assert.deepEqual(decodeMessage(fields, encodeMessage(fields, message)), message);
  }
});

test('fields that no table names are skipped', () => {
  const more: Fields = { ...fields, later: { number: 9, kind: 'string' } };
  const bytes = encodeMessage(more, { number: '1', later: 'new', many: ['a'] });
  const fixed = Buffer.from('41' + '0000000000000000' + '4d' + '00000000', 'hex');
  const expected = { number: '1', many: ['a'] };
  assert.deepEqual(decodeMessage(fields, Buffer.concat([fixed, bytes])), expected);
});

test('a message that ends in the middle is refused at every cut', () => {
  const bytes = encodeMessage(fields, { text: 'hello' });
  for (let length = 1; length < bytes.length; length++)
    assert.throws(() => decodeMessage(fields, bytes.subarray(0, length)), RangeError);
});

test('no call uses a number of a message twice', () => {
  const check = (table: Fields) => {
    const numbers = Object.values(table).map(({ number }) => number);
    assert.equal(new Set(numbers).size, numbers.length, JSON.stringify(table));
    for (const { kind } of Object.values(table))
      if (typeof kind === 'object' && !Array.isArray(kind)) check(kind as Fields);
  };
  for (const { request, answer } of Object.values(calls)) [request, answer].map(check);
});
