// Loopback ports: none twice, none that somebody listens on, and another life begins elsewhere.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#core/random';
import { createPortBook } from './ports.ts';

const range = { portMin: 21_000, portMax: 21_999 };
const anyPort = async () => true;

test('a port is given once, and what a job has it keeps', async () => {
  const book = createPortBook({ portMin: 1, portMax: 3 }, seededRandom(1), anyPort);
  const given = [await book.reserve('a', ['http', 'admin']), await book.reserve('b', ['http'])];
  assert.deepEqual(given.flatMap((ports) => Object.values(ports)).sort(), [1, 2, 3]);
  assert.deepEqual(await book.reserve('a', ['http', 'admin']), given[0]);
  await assert.rejects(book.reserve('c', ['http']), /every port from 1 to 3 is taken/);
  book.release('b');
  assert.deepEqual(await book.reserve('c', ['http']), given[1]);
});

test('a port that somebody listens on is passed over', async () => {
  const isFree = async (port: number) => port % 2 === 0;
  const book = createPortBook({ portMin: 1, portMax: 2 }, seededRandom(1), isFree);
  assert.deepEqual(await book.reserve('a', ['http']), { http: 2 });
});

test('another life of the machine does not give the same ports to other jobs', async () => {
  const ports = new Set<number>();
  for (let life = 1; life <= 10; life++) {
    const book = createPortBook(range, seededRandom(life), anyPort);
    const { http = 0 } = await book.reserve(`job-${life}`, ['http']);
    assert.ok(http >= range.portMin && http <= range.portMax);
    ports.add(http);
  }
  assert.equal(ports.size, 10);
});
