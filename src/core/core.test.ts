// The small parts of core: streams, retry, config, schema, seeded randomness.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { numberSetting, readConfig, textSetting } from './config.ts';
import { AppError, coreErrors } from './errors.ts';
import { FakeClock } from './fake-clock.ts';
import { newId } from './ids.ts';
import { createLog } from './log.ts';
import { seededRandom } from './random.ts';
import { backoffMs, isWorthTelling, retry } from './retry.ts';
import { oneOf, parser, Type } from './schema.ts';
import { AsyncQueue, fromNdjson, readLines, toNdjson } from './stream.ts';

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

describe('streams', () => {
  test('lines come whole, however the bytes were cut, characters of several bytes too', async () => {
    const bytes = Buffer.from('für\nzwei\n\nlast');
    const pieces = [...bytes].map((byte) => Uint8Array.of(byte));
    assert.deepEqual(await collect(readLines(toAsync(pieces))), ['für', 'zwei', '', 'last']);
  });

  test('a line longer than the limit is an error, not a full memory', async () => {
    await assert.rejects(
      collect(readLines(toAsync(['x'.repeat(50), 'y'.repeat(60)]), 100)),
      /longer than 100 bytes/,
    );
  });

  test('values survive the way there and back, and heartbeats are not values', async () => {
    const clock = new FakeClock();
    const gate = Promise.withResolvers<void>();
    async function* source() {
      yield { a: 1 };
      await gate.promise;
      yield { b: 'ü\n' };
    }
    const stream = toNdjson(source(), clock);
    const reading = collect(fromNdjson(stream));
    await clock.advance(20_000);
    gate.resolve();
    assert.deepEqual(await reading, [{ a: 1 }, { b: 'ü\n' }]);
  });

  test('a queue hands over in order and fails a reader that falls behind', async () => {
    const queue = new AsyncQueue<number>(2);
    assert.equal(queue.push(1), true);
    assert.equal(queue.push(2), true);
    assert.equal(queue.push(3), false);
    const seen: number[] = [];
    await assert.rejects(async () => {
      for await (const item of queue) seen.push(item);
    }, /fell 2 items behind/);
    assert.deepEqual(seen, [1, 2]);
  });
});

async function* toAsync<T>(items: Iterable<T>) {
  yield* items;
}

describe('retry', () => {
  const options = { minMs: 100, maxMs: 1000, deadlineMs: 5000, random: () => 0.5 };

  test('waits longer each time, up to its limit', () => {
    assert.deepEqual(
      [1, 2, 3, 4, 5, 50].map((failures) => backoffMs(failures, options, () => 0.5)),
      [100, 200, 400, 800, 1000, 1000],
    );
  });

  test('of an outage, ever fewer failures are logged', () => {
    const told = Array.from({ length: 20 }, (_, index) => index + 1).filter(isWorthTelling);
    assert.deepEqual(told, [1, 2, 4, 8, 16]);
  });

  test('goes on while errors say that it may, and not a moment longer', async () => {
    const clock = new FakeClock();
    let calls = 0;
    const succeeding = retry(
      async () => {
        if (++calls < 3) throw coreErrors.unreachable('not yet');
        return 'done';
      },
      { ...options, clock },
    );
    await clock.advance(1000);
    assert.equal(await succeeding, 'done');
    await assert.rejects(
      retry(() => Promise.reject(coreErrors.invalid('never')), { ...options, clock }),
      /never/,
    );
    const failing = retry(() => Promise.reject(coreErrors.unreachable('gone')), {
      ...options,
      clock,
    });
    const outcome = assert.rejects(failing, /gone/);
    await clock.advance(10_000);
    await outcome;
  });
});

describe('settings', () => {
  const settings = {
    port: numberSetting({ env: 'PORT', doc: 'The port.', min: 1, max: 10 }),
    name: textSetting({ env: 'NAME', doc: 'The name.', fallback: 'x' }),
  };

  test('are read from the environment, with fallbacks', () => {
    assert.deepEqual(readConfig(settings, { PORT: '7' }), { port: 7, name: 'x' });
  });

  test('name the variable that is missing or malformed', () => {
    assert.throws(() => readConfig(settings, {}), /PORT is not set: The port/);
    assert.throws(
      () => readConfig(settings, { PORT: '11' }),
      /PORT=11 is not a whole number from 1 to 10/,
    );
  });
});

test('a parser names each field that is wrong, at most five', () => {
  const shape = parser(Type.Object({ a: Type.String(), b: oneOf('x', 'y') }));
  assert.deepEqual(shape.parse({ a: '', b: 'x' }, 'it'), { a: '', b: 'x' });
  assert.throws(
    () => shape.parse({ a: 1, b: 'z' }, 'the thing'),
    (error: unknown) => {
      assert(error instanceof AppError);
      assert.match(error.message, /^the thing is not valid: a must be string; b /);
      return error.code === 'core.invalid';
    },
  );
});

test('the same seed gives the same numbers, spread over the range', () => {
  const [one, two] = [seededRandom(42), seededRandom(42)];
  const numbers = Array.from({ length: 1000 }, () => one());
  assert.deepEqual(
    numbers,
    Array.from({ length: 1000 }, () => two()),
  );
  assert(numbers.every((number) => number >= 0 && number < 1));
  assert(Math.abs(numbers.reduce((sum, number) => sum + number, 0) / 1000 - 0.5) < 0.05);
});

test('an id says of what it is and is never the same', () => {
  assert.match(newId('job'), /^job-[0-9a-z]{16}$/);
  assert.notEqual(newId('job'), newId('job'));
});

test('an error is logged with its cause beside it, so that nothing is said twice', () => {
  const lines: string[] = [];
  const log = createLog('test', 'info', { write: (line) => lines.push(line) });
  const cause = new Error('connect ENOENT /x.sock');
  const text = `GET /a at unix:/x.sock: ${cause.message}`;
  log.child({ part: 'store' }).warn({ err: coreErrors.unreachable(text, { cause }) }, 'failed');
  const { err } = JSON.parse(lines[0] ?? '') as { err: Record<string, { message?: string }> };
  assert.equal(err.message, text);
  assert.equal(err.code, 'core.unreachable');
  assert.equal(err.cause?.message, cause.message);
});
