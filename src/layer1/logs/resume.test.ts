// A reader who is cut off goes on exactly where it was: at any line, over a restart of the process, and with a gap said
// where the history no longer has what it missed.

import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { systemClock as clock } from '#core/clock';
import type { Component } from '#core/component';
import { silentLog as log } from '#core/log';
import { systemRandom as random } from '#core/random';
import { createMemoryStore } from '#layer0/store/fake';
import { AppLog, type StoredLine } from './app-log.ts';
import { createLogsClient } from './client.ts';
import { createLogs } from './index.ts';
import { readLog } from './read-log.ts';
import type { LogEntry, LogLine, LogQuery } from './wire.ts';

const never = new AbortController().signal;
const app = 'app-1';
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-resume-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

let offset = 0;
function stored(text: string, change: Partial<StoredLine> = {}): StoredLine {
  offset += 1;
  return {
    time: `2026-01-01T00:00:00.${String(offset).padStart(9, '0')}Z`,
    app,
    type: 'web',
    instance: 'web.1',
    job: 'j',
    stream: 'stdout',
    text,
    at: ['c1', 1, offset],
    ...change,
  };
}

function openApp(limits = { segmentBytes: 500, segments: 1000 }): Promise<AppLog> {
  return AppLog.open(join(folder, 'history'), limits);
}

const isLine = (entry: LogEntry): entry is LogLine => 'text' in entry;

/** What a query answers, up to so many lines: then the reader is cut off. */
async function read(
  history: AppLog,
  query: Partial<LogQuery>,
  most = Number.POSITIVE_INFINITY,
): Promise<LogLine[]> {
  const found: LogLine[] = [];
  for await (const entry of readLog(history, { app, ...query }, never)) {
    if (isLine(entry)) found.push(entry);
    if (found.length >= most) break;
  }
  return found;
}

const texts = (found: readonly LogLine[]) => found.map(({ text }) => text);
const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => `line ${from + index}`);

async function say(history: AppLog, from: number, to: number): Promise<void> {
  for (const text of numbered(from, to)) await history.append([stored(text)]);
}

describe('a reader who was cut off', () => {
  test('at any line of the last ones misses none and sees none twice, though instances are side by side', async () => {
    const history = await openApp({ segmentBytes: 300, segments: 1000 });
    // In the order of the history the times go to and fro, also over the borders of segments.
    const seconds = [5, 1, 9, 3, 7, 2, 8, 4, 6, 5, 0, 9];
    for (const [index, second] of seconds.entries())
      await history.append([
        stored(`line ${index}`, {
          time: `2026-01-01T00:00:0${second}.000000000Z`,
          instance: `web.${index % 3}`,
        }),
      ]);
    assert.ok(history.segments.numbers.length > 3, 'there are several segments');
    const whole = await read(history, { lines: 9 });
    assert.equal(whole.length, 9);
    for (const [index, { cursor }] of whole.entries()) {
      await say(history, 100 + index, 101 + index);
      const rest = await read(history, { lines: 9, after: cursor });
      assert.deepEqual(
        texts(rest),
        [...texts(whole.slice(index + 1)), ...numbered(100, 101 + index)],
        `cut off at ${index}`,
      );
    }
    await history.close();
  });

  test('at any line of those it follows goes on after it, through segments', async () => {
    const history = await openApp();
    await say(history, 0, 40);
    let seen = await read(history, { lines: 0, follow: false });
    let cursor = await firstCursor(history, { lines: 0, follow: true });
    await say(history, 40, 80);
    while (seen.length < 40) {
      const [line] = await read(history, { after: cursor, follow: true }, 1);
      assert.ok(line);
      seen = [...seen, line];
      cursor = line.cursor;
    }
    assert.deepEqual(texts(seen), numbered(40, 80));
    assert.deepEqual(await read(history, { after: cursor }), []);
    await history.close();
  });

  test('gets only what fits its filter', async () => {
    const history = await openApp();
    await say(history, 0, 3);
    const [first] = await read(history, { lines: 3 });
    await history.append([stored('done', { type: 'worker', instance: 'worker.1' })]);
    const after = first?.cursor ?? '';
    assert.deepEqual(texts(await read(history, { after, type: 'worker' })), ['done']);
    assert.deepEqual(texts(await read(history, { after, instance: 'web.1' })), numbered(1, 3));
    await history.close();
  });

  test('is told a place in each segment although no line fits, and so does not fall behind', async () => {
    const history = await openApp();
    await say(history, 0, 30);
    const abort = new AbortController();
    const query = { app, type: 'worker', lines: 1, follow: true };
    const entries = readLog(history, query, abort.signal);
    const first = (await entries.next()).value as LogEntry;
    assert.ok(!isLine(first), 'a place, before anything is said');
    await say(history, 30, 60);
    const second = (await entries.next()).value as LogEntry;
    assert.ok(!isLine(second));
    assert.notEqual(second.cursor, first.cursor);
    abort.abort();
    await entries.return(undefined);
    await history.close();
  });

  for (const [what, until] of [
    ['some', 14],
    ['all', 60],
  ] as const)
    test(`is told of a gap, once, where the history dropped ${what} of what it had not read`, async () => {
      const history = await openApp({ segmentBytes: 500, segments: 3 });
      await say(history, 0, 8);
      const seen = await read(history, { lines: 8 });
      await say(history, 8, until);
      assert.ok(history.segments.start.segment > 1, 'something was dropped');
      const cursors = seen.slice(0, 2).map(({ cursor }) => cursor);
      assert.equal(cursors.length, 2);
      for (const cursor of cursors) {
        const [gap, ...kept] = await read(history, { after: cursor });
        assert.equal(gap?.isGap, true);
        assert.ok(kept.length > 0);
        assert.deepEqual(texts(kept), numbered(until - kept.length, until));
        assert.deepEqual(texts(await read(history, { after: gap.cursor })), texts(kept));
      }
      await history.close();
    });

  test('is told so when the machine lost the end of the history that it had read', async () => {
    const first = await openApp({ segmentBytes: 100_000, segments: 3 });
    await say(first, 0, 2);
    const { offset: size } = first.segments.end;
    await say(first, 2, 6);
    const last = (await read(first, { lines: 1 }))[0]?.cursor;
    await first.close();
    await truncate(join(folder, 'history', '1.ndjson'), size + 5);
    const history = await openApp({ segmentBytes: 100_000, segments: 3 });
    await say(history, 10, 12);
    const [gap, ...rest] = await read(history, { after: last ?? '' });
    assert.match(gap?.text ?? '', /lost the end of the history/);
    assert.deepEqual(texts(rest), []);
    await say(history, 12, 14);
    assert.deepEqual(texts(await read(history, { after: gap?.cursor ?? '' })), numbered(12, 14));
    await history.close();
  });

  test('of a history that is closed is let go, to ask whoever writes it now', async () => {
    const history = await openApp();
    await say(history, 0, 2);
    const entries = readLog(history, { app, lines: 1, follow: true }, never);
    await entries.next();
    await entries.next();
    const more = entries.next();
    await history.close();
    assert.deepEqual(await more, { done: true, value: undefined });
  });
});

async function firstCursor(history: AppLog, query: Partial<LogQuery>): Promise<string> {
  for await (const { cursor } of readLog(history, { app, ...query }, never)) return cursor;
  throw new Error('nothing was told');
}

describe('the process', () => {
  const key = 'internal-key-of-the-test';
  let path: string;
  let said = 0;

  beforeEach(async () => {
    said = 0;
    path = join(folder, 'c1-json.log');
    await writeFile(path, '');
  });

  async function write(count: number): Promise<void> {
    const from = said;
    said += count;
    const entries = numbered(from, said).map((text, index) => {
      const time = `2026-01-01T00:00:00.${String(from + index).padStart(9, '0')}Z`;
      return JSON.stringify({ log: `${text}\n`, stream: 'stdout', time });
    });
    await appendFile(path, `${entries.join('\n')}\n`);
  }

  async function startLogs(
    store: ReturnType<typeof createMemoryStore>,
    port: number,
  ): Promise<Component> {
    const source = { containerId: 'c1', path, job: 'j', app, type: 'web', index: 1, attempt: 1 };
    const logs = createLogs(
      { store, host: { logSources: async () => [source] }, appPrefix: 'apps/', clock, random, log },
      {
        port,
        home: folder,
        hostUrl: '',
        hostId: 'host-1',
        internalKey: key,
        segmentBytes: 4096,
        segmentsPerApp: 1000,
      },
    );
    await logs.start();
    return logs;
  }

  test('can be restarted again and again while it is followed: every line comes once, in order', async () => {
    const store = createMemoryStore();
    const port = await freePort();
    const client = createLogsClient({ baseUrl: `http://127.0.0.1:${port}`, key });
    const got: string[] = [];
    let next: Pick<LogQuery, 'lines' | 'after'> = { lines: 100 };
    await write(5);
    for (let round = 1; round <= 4; round++) {
      const logs = await startLogs(store, port);
      await write(300);
      const cut = new AbortController();
      for await (const entry of client.read({ app, ...next, follow: true }, cut.signal)) {
        next = { after: entry.cursor };
        if (isLine(entry)) got.push(entry.text);
        // In the middle of what is there, and once at its end.
        if (got.length >= round * 200 || got.length === said) break;
      }
      cut.abort();
      await logs.stop();
      await write(50);
    }
    const logs = await startLogs(store, port);
    const cut = new AbortController();
    for await (const entry of client.read({ app, ...next, follow: true }, cut.signal)) {
      if (isLine(entry)) got.push(entry.text);
      if (entry.cursor !== '' && got.at(-1) === `line ${said - 1}`) break;
    }
    cut.abort();
    client.close();
    await logs.stop();
    await store.close();
    const [begun = ''] = got;
    assert.deepEqual(got, numbered(Number(begun.split(' ')[1]), said));
  });

  test('refuses a cursor that is none', async () => {
    const store = createMemoryStore();
    const port = await freePort();
    const logs = await startLogs(store, port);
    const client = createLogsClient({ baseUrl: `http://127.0.0.1:${port}`, key });
    await assert.rejects(client.read({ app, after: '1.2; DROP' }, never).next(), {
      code: 'core.invalid',
    });
    client.close();
    await logs.stop();
    await store.close();
  });
});

/** The process is asked at the same place after its restart. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
