// Logs lose nothing: through rotations, crashes of the collector, long lines and slow readers.

import assert from 'node:assert/strict';
import type { Stats } from 'node:fs';
import { appendFile, chmod, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { LogSource } from '#layer0/host/client';
import { AppLog } from './app-log.ts';
import { maxLineBytes } from './config.ts';
import { ContainerLog } from './container-log.ts';
import { nextRead } from './decide/next-file.ts';
import { JsonFileParser } from './json-file.ts';
import { readLog } from './read-log.ts';
import type { LogEntry, LogLine, LogQuery } from './wire.ts';

const never = new AbortController().signal;
const limits = { segmentBytes: 64 * 1024, segments: 100 };

function entry(text: string, stream = 'stdout', time = '2026-01-01T00:00:00.000000001Z'): string {
  return `${JSON.stringify({ log: text, stream, time })}\n`;
}

let folder: string;
let source: LogSource;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-logs-'));
  const path = join(folder, 'c1-json.log');
  source = {
    containerId: 'c1',
    path,
    job: 'job-1',
    app: 'app-1',
    type: 'web',
    index: 1,
    attempt: 1,
  };
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function openApp(): Promise<AppLog> {
  return AppLog.open(join(folder, 'history'), limits);
}

async function readAll(app: AppLog, query: Partial<LogQuery> = {}): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  for await (const line of readLog(app, { app: 'app-1', lines: 100_000, ...query }, never))
    if ('text' in line) lines.push(line);
  return lines;
}

/** The file once it has been changed after it was made, as the clock of the file system sees it. */
async function changed(): Promise<Stats> {
  for (;;) {
    await chmod(source.path, 0o640);
    const seen = await stat(source.path);
    if (seen.ctimeMs > seen.birthtimeMs) return seen;
  }
}

/** Renames as the engine does. */
async function rotate(files: number): Promise<void> {
  await rm(`${source.path}.${files}`, { force: true });
  for (let index = files - 1; index >= 1; index--) {
    await rename(`${source.path}.${index}`, `${source.path}.${index + 1}`).catch(() => undefined);
  }
  await rename(source.path, `${source.path}.1`);
  await writeFile(source.path, '');
}

describe('the next file to read', () => {
  const files = [
    { path: 'x', inode: 3, sizeBytes: 10 },
    { path: 'x.1', inode: 2, sizeBytes: 20 },
    { path: 'x.2', inode: 1, sizeBytes: 20 },
  ];

  test('is the oldest one at first', () => {
    assert.deepEqual(nextRead(files, undefined), { kind: 'read', file: files[2], offset: 0 });
  });

  test('is the same one while it has more, wherever it was renamed to', () => {
    assert.deepEqual(nextRead(files, { inode: 2, offset: 5 }), {
      kind: 'read',
      file: files[1],
      offset: 5,
    });
  });

  test('is the one after it when it is read to its end', () => {
    assert.deepEqual(nextRead(files, { inode: 1, offset: 20 }), {
      kind: 'read',
      file: files[1],
      offset: 0,
    });
  });

  test('is none while the current one has nothing new', () => {
    assert.deepEqual(nextRead(files, { inode: 3, offset: 10 }), { kind: 'wait' });
  });

  test('comes after a gap when the one being read was deleted, or its inode is another file by now', () => {
    assert.equal(nextRead(files, { inode: 9, offset: 5 }).kind, 'gap');
    assert.equal(nextRead(files, { inode: 3, offset: 11 }).kind, 'gap');
    const born = files.map((file, index) => ({ ...file, bornMs: 1000.5 - index }));
    assert.equal(nextRead(born, { inode: 3, offset: 5, bornMs: 1000.5 }).kind, 'read');
    assert.equal(nextRead(born, { inode: 3, offset: 5, bornMs: 990.5 }).kind, 'gap');
    // Where the file system does not say, or did not, the inode has to do.
    assert.equal(nextRead(files, { inode: 3, offset: 5, bornMs: 990.5 }).kind, 'read');
    assert.equal(nextRead(born, { inode: 3, offset: 5 }).kind, 'read');
  });
});

describe('a container log', () => {
  test('comes whole and in order through rotations while it is read', async () => {
    const app = await openApp();
    const reader = new ContainerLog(source, app);
    await writeFile(source.path, '');
    const total = 3000;
    for (let line = 0; line < total; line++) {
      await appendFile(source.path, entry(`line ${line}\n`));
      if (line % 500 === 499) await rotate(3);
      if (line % 333 === 0) await reader.readAll(never);
    }
    await reader.readAll(never);
    const texts = (await readAll(app)).map(({ text }) => text);
    assert.deepEqual(
      texts,
      Array.from({ length: total }, (_, line) => `line ${line}`),
    );
    await reader.close();
    await app.close();
  });

  test('says where lines are missing when a file was deleted before it was read', async () => {
    const app = await openApp();
    const reader = new ContainerLog(source, app);
    await writeFile(source.path, entry('first\n'));
    await reader.readAll(never);
    await appendFile(source.path, entry('lost\n'));
    for (let turn = 0; turn < 3; turn++) {
      await rotate(2);
      await appendFile(source.path, entry(`after ${turn}\n`));
    }
    await reader.readAll(never);
    const lines = await readAll(app);
    assert.deepEqual(
      lines.map(({ isGap }) => isGap ?? false),
      [false, true, false, false, false],
    );
    assert.equal(lines.filter(({ text }) => text === 'lost').length, 0);
    await reader.close();
    await app.close();
  });

  test('says so too when the new file got the inode of the deleted one while no collector held it', async () => {
    await writeFile(source.path, entry('first\n'));
    const { ino, birthtimeMs } = await changed();
    const before = await openApp();
    const reader = new ContainerLog(source, before);
    await reader.readAll(never);
    await before.checkpoint();
    await reader.close();
    // File systems give out a free inode again at once. Their clock ticks every few milliseconds.
    let born: number;
    do {
      await rm(source.path);
      await writeFile(source.path, entry('lost\n') + entry('after\n').repeat(20));
      born = (await changed()).birthtimeMs;
    } while (born === birthtimeMs && born > 0);
    const app = await openApp();
    const next = new ContainerLog(source, app);
    await next.readAll(never);
    const lines = await readAll(app);
    const isReused = (await stat(source.path)).ino === ino;
    const how = isReused ? 'with the same inode' : 'with another inode';
    assert.deepEqual(
      lines.slice(0, 3).map(({ text, isGap }) => (isGap ? 'gap' : text)),
      ['first', 'gap', 'lost'],
      how,
    );
    await next.close();
    await app.close();
  });

  test('is neither lost nor repeated when the collector dies at any point', async () => {
    await writeFile(source.path, '');
    const total = 200;
    for (let line = 0; line < total; line++) {
      await appendFile(source.path, entry(`line ${line}\n`));
      if (line % 7 !== 0) continue;
      // Opened anew and never closed: as after a kill. Every third time there is a checkpoint.
      const app = await openApp();
      const reader = new ContainerLog(source, app);
      await reader.readAll(never);
      if (line % 3 === 0) await app.checkpoint();
      await reader.close();
    }
    const app = await openApp();
    await new ContainerLog(source, app).readAll(never);
    const texts = (await readAll(app)).map(({ text }) => text);
    assert.deepEqual(
      texts,
      Array.from({ length: total }, (_, line) => `line ${line}`),
    );
    await app.close();
  });

  test('cuts off a line of the history that a power loss tore, and reads it again', async () => {
    await writeFile(source.path, entry('one\n') + entry('two\n'));
    const first = await openApp();
    await new ContainerLog(source, first).readAll(never);
    const history = join(folder, 'history', '1.ndjson');
    await appendFile(source.path, entry('three\n'));
    await appendFile(history, '{"time":"2026","app":"app-1","te');
    const second = await openApp();
    await new ContainerLog(source, second).readAll(never);
    assert.deepEqual(
      (await readAll(second)).map(({ text }) => text),
      ['one', 'two', 'three'],
    );
    await second.close();
  });

  test('tells when the container is gone, and keeps its last unfinished line', async () => {
    const app = await openApp();
    const reader = new ContainerLog(source, app);
    await writeFile(source.path, entry('whole\n') + entry('no newline'));
    assert.equal(await reader.readAll(never), true);
    await rm(source.path);
    assert.equal(await reader.readAll(never), false);
    await reader.finish();
    assert.deepEqual(
      (await readAll(app)).map(({ text }) => text),
      ['whole', 'no newline'],
    );
    await app.close();
  });

  test('keeps the longest line, of bytes that JSON writes as six each, and what comes after it', async () => {
    const longest = '\u0001'.repeat(maxLineBytes + 10_000);
    const app = await openApp();
    const reader = new ContainerLog(source, app);
    const pieces = longest.match(/.{1,16000}/gs) ?? [];
    await writeFile(source.path, `${pieces.map((piece) => entry(piece)).join('')}${entry('\n')}`);
    await appendFile(source.path, entry('after\n'));
    await reader.readAll(never);
    await reader.close();
    await app.close();
    const again = await openApp();
    const next = new ContainerLog(source, again);
    await next.readAll(never);
    const lines = await readAll(again);
    assert.equal(lines.map(({ text }) => text).join('').length, longest.length + 'after'.length);
    assert.equal(lines.at(-1)?.text, 'after');
    await next.close();
    await again.close();
  });

  test('leaves out what a build tells the builder, and nothing else', async () => {
    const mark = `gantry-result-${'0af9'.repeat(6)}`;
    const said = [
      `${mark} nodejs - ZGVm`,
      `a line with ${mark} in it`,
      'gantry-result-soon ok',
      mark,
    ];
    await writeFile(source.path, said.map((text) => entry(`${text}\n`)).join(''));
    const texts = async (type: string) => {
      const app = await AppLog.open(join(folder, type), limits);
      const reader = new ContainerLog({ ...source, type }, app);
      await reader.readAll(never);
      const lines = await readAll(app);
      await reader.close();
      await app.close();
      return lines.map(({ text }) => text);
    };
    assert.deepEqual(await texts('build'), said.slice(1));
    assert.deepEqual(await texts('web'), said);
  });

  test('waits for the rest of an entry that is being written, and does not spin', async () => {
    const app = await openApp();
    const reader = new ContainerLog(source, app);
    const whole = entry('in two writes\n');
    await writeFile(source.path, whole.slice(0, 20));
    assert.equal(await reader.readAll(never), true);
    await appendFile(source.path, whole.slice(20));
    await reader.readAll(never);
    assert.deepEqual(
      (await readAll(app)).map(({ text }) => text),
      ['in two writes'],
    );
    await reader.close();
    await app.close();
  });
});

describe('the parser', () => {
  test('joins the pieces of a long line, also when the other stream speaks in between', () => {
    const text = entry('a'.repeat(10)) + entry('err\n', 'stderr') + entry('b\n');
    const { lines } = new JsonFileParser().parse(Buffer.from(text), 100);
    assert.deepEqual(
      lines.map((line) => line.text),
      ['err', `${'a'.repeat(10)}b`],
    );
    // Resuming after the first one must not lose the piece before it.
    assert.equal(lines[0]?.resumeOffset, 100);
    assert.equal(lines[1]?.resumeOffset, 100 + Buffer.byteLength(text));
  });

  test('keeps an entry that is torn at its place, by the time of the one before', () => {
    const text = `${entry('before\n')}\0\0torn\n${entry('after\n')}`;
    const { lines } = new JsonFileParser().parse(Buffer.from(text), 0);
    assert.deepEqual(
      lines.map((line) => line.text),
      ['before', 'torn', 'after'],
    );
    assert.equal(lines[1]?.time, lines[0]?.time);
  });

  test('shows what is not an entry instead of dropping it', () => {
    const { lines } = new JsonFileParser().parse(Buffer.from('\0\0torn{"log":"x\n'), 0);
    assert.deepEqual(
      lines.map((line) => line.text),
      ['torn{"log":"x'],
    );
  });
});

describe('a query', () => {
  test('keeps the order of lines whose times the engine wrote without the zeros at their end', async () => {
    const times = ['09Z', '09.12Z', '09.123Z', '09.123000001Z', '10Z'];
    const entries = times.map((time, n) => entry(`${n}\n`, 'stdout', `2026-01-01T00:00:${time}`));
    await writeFile(source.path, entries.join(''));
    const app = await openApp();
    await new ContainerLog(source, app).readAll(never);
    assert.equal((await readAll(app)).map(({ text }) => text).join(''), '01234');
  });

  test('answers with the last lines by the time of the engine, of one process type or instance', async () => {
    const app = await openApp();
    const at = ['c1', 1, 1] as [string, number, number];
    const line = { app: 'app-1', job: 'j', stream: 'stdout' as const, at };
    await app.append([
      { ...line, time: '2026-01-01T00:00:02Z', type: 'web', instance: 'web.1', text: 'second' },
      {
        ...line,
        time: '2026-01-01T00:00:01Z',
        type: 'worker',
        instance: 'worker.1',
        text: 'first',
      },
      { ...line, time: '2026-01-01T00:00:03Z', type: 'web', instance: 'web.2', text: 'third' },
    ]);
    const texts = async (query: Partial<LogQuery>) =>
      (await readAll(app, query)).map(({ text }) => text);
    assert.deepEqual(await texts({}), ['first', 'second', 'third']);
    assert.deepEqual(await texts({ lines: 2 }), ['second', 'third']);
    assert.deepEqual(await texts({ type: 'web' }), ['second', 'third']);
    assert.deepEqual(await texts({ instance: 'web.2' }), ['third']);
    assert.deepEqual(await texts({ lines: 0 }), []);
    await app.close();
  });

  test('that follows gets every later line once, through segments, and ends with its signal', async () => {
    const app = await AppLog.open(join(folder, 'small'), { segmentBytes: 300, segments: 100 });
    const abort = new AbortController();
    const got: string[] = [];
    const reading = (async () => {
      for await (const line of readLog(
        app,
        { app: 'app-1', lines: 0, follow: true },
        abort.signal,
      )) {
        if ('text' in line) got.push(line.text);
        if (got.length === 50) abort.abort();
      }
    })();
    const line = {
      time: 't',
      app: 'app-1',
      type: 'web',
      instance: 'web.1',
      job: 'j',
      stream: 'stdout' as const,
    };
    for (let index = 0; index < 50; index++) {
      await app.append([{ ...line, text: `line ${index}`, at: ['c1', 1, index] }]);
    }
    await reading;
    assert.deepEqual(
      got,
      Array.from({ length: 50 }, (_, index) => `line ${index}`),
    );
    await app.close();
  });

  test('that falls behind a history of bounded size is told of the gap', async () => {
    const app = await AppLog.open(join(folder, 'tiny'), { segmentBytes: 200, segments: 2 });
    const abort = new AbortController();
    const reader = readLog(app, { app: 'app-1', lines: 1, follow: true }, abort.signal);
    const line = {
      time: 't',
      app: 'app-1',
      type: 'web',
      instance: 'web.1',
      job: 'j',
      stream: 'stdout' as const,
    };
    await app.append([{ ...line, text: 'seen', at: ['c1', 1, 0] }]);
    const first = (await reader.next()).value as LogLine;
    assert.equal(first.text, 'seen');
    for (let index = 0; index < 20; index++) {
      await app.append([{ ...line, text: `line ${index}`, at: ['c1', 1, index] }]);
    }
    const isGap = async (): Promise<boolean> => {
      const entry: LogEntry | undefined = (await reader.next()).value;
      return entry && 'text' in entry ? entry.isGap === true : await isGap();
    };
    assert.equal(await isGap(), true);
    abort.abort();
    await reader.return(undefined);
    await app.close();
  });
});
