// Is the log of an app one log, whichever machines it ran on, whoever is away, and wherever its reader was cut off?

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { coreErrors } from '#core/errors';
import { FakeClock } from '#core/fake-clock';
import { mergedCursorPattern, parseMergedCursor } from './decide/merged-cursor.ts';
import { type LogMachine, readMerged } from './merged.ts';
import type { LogEntry, LogLine, LogQuery } from './wire.ts';

const startMs = Date.parse('2026-01-01T00:00:00.000Z');
const timeOf = (second: number) => `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000000Z`;

/** A history as a machine answers for it: cursors are places in it, `follow` says where it is before it waits. */
class Machine {
  readonly name: string;
  readonly lines: LogLine[] = [];
  isAway = false;
  readonly #waiting = new Set<() => void>();
  #breaks = 0;

  constructor(name: string, ...seconds: number[]) {
    this.name = name;
    for (const second of seconds) this.say(second);
  }

  say(second: number): void {
    this.lines.push({
      time: timeOf(second),
      app: 'app-1',
      type: 'web',
      instance: 'web.1',
      job: 'job-1',
      stream: 'stdout',
      text: `${this.name}${second}`,
      cursor: `1.${this.lines.length + 1}`,
    });
    this.#wake();
  }

  /** Whoever reads is cut off. */
  cut(): void {
    this.#breaks++;
    this.#wake();
  }

  listed(): LogMachine {
    const read = (query: LogQuery, signal: AbortSignal) => this.#read(query, signal);
    return { id: `host-${this.name}`, name: this.name, read: this.isAway ? undefined : read };
  }

  async *#read(query: LogQuery, signal: AbortSignal): AsyncGenerator<LogEntry> {
    const breaks = this.#breaks;
    const from = query.after === undefined ? undefined : Number(query.after.split('.')[1]);
    const end = this.lines.length;
    let place = from ?? Math.max(0, end - (query.lines ?? 100));
    if (from === undefined) while (place < end) yield this.lines[place++] as LogLine;
    if (query.follow) yield { cursor: `1.${place}` };
    while (!signal.aborted && (query.follow || place < end)) {
      if (breaks !== this.#breaks) throw coreErrors.unreachable(`${this.name} does not answer`);
      if (place < this.lines.length) yield this.lines[place++] as LogLine;
      else await this.#news(signal);
    }
  }

  #news(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
      signal.addEventListener('abort', () => resolve());
    });
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

function aReader(machines: Machine[], query: Partial<LogQuery> = {}) {
  const clock = new FakeClock(startMs + 3_600_000);
  const end = new AbortController();
  const list = async () => machines.map((machine) => machine.listed());
  const log = readMerged({ machines: list, clock }, { app: 'app-1', ...query }, end.signal);
  return { clock, log, end };
}

async function textsOf(entries: AsyncIterable<LogEntry>): Promise<string[]> {
  const texts: string[] = [];
  for await (const entry of entries) if ('text' in entry) texts.push(entry.text);
  return texts;
}

/** The next that is said; marks are passed over. The clock goes on until something is. */
async function nextLine({ clock, log }: ReturnType<typeof aReader>): Promise<LogLine> {
  for (;;) {
    let step: IteratorResult<LogEntry> | undefined;
    void log.next().then((value) => (step = value));
    for (let turn = 0; turn < 1_000 && !step; turn++) await clock.advance(100);
    assert.ok(step, 'nothing is said');
    if (!step.done && 'text' in step.value) return step.value;
    assert.equal(step.done, false, 'the log ended');
  }
}

const together = () => [new Machine('a', 1, 4, 5), new Machine('b', 2, 3, 6)];

describe('the log of several machines', () => {
  test('is one, by time, and its last lines are the last of all', async () => {
    assert.deepEqual(await textsOf(aReader(together()).log), ['a1', 'b2', 'b3', 'a4', 'a5', 'b6']);
    assert.deepEqual(await textsOf(aReader(together(), { lines: 3 }).log), ['a4', 'a5', 'b6']);
    assert.deepEqual(await textsOf(aReader(together(), { lines: 0 }).log), []);
  });

  test('goes on after any of its lines: each of the others once', async () => {
    for (const lines of [undefined, 5, 3]) {
      const whole: LogLine[] = [];
      for await (const entry of aReader(together(), lines === undefined ? {} : { lines }).log)
        if ('text' in entry) whole.push(entry);
      for (const [index, { cursor }] of whole.entries()) {
        assert.match(cursor, new RegExp(mergedCursorPattern));
        const rest = await textsOf(aReader(together(), { after: cursor }).log);
        const wanted = whole.slice(index + 1).map(({ text }) => text);
        assert.deepEqual(rest, wanted, `after ${whole[index]?.text} of ${lines}`);
      }
    }
  });

  test('says which machine is away, shows the others, and is an error when all are', async () => {
    const machines = together();
    const [first, second] = machines as [Machine, Machine];
    second.isAway = true;
    assert.deepEqual(await textsOf(aReader(machines).log), [
      ...['a1', 'a4', 'a5'],
      'lines of machine b are missing here: its logs are not running',
    ]);
    first.isAway = true;
    await assert.rejects(textsOf(aReader(machines).log), { code: 'logs.away' });
  });
});

describe('a log that is followed', () => {
  test('shows what comes on each machine, and of one that was cut off what it missed', async () => {
    const machines = together();
    const [first, second] = machines as [Machine, Machine];
    const reader = aReader(machines, { follow: true, lines: 1 });
    assert.equal((await nextLine(reader)).text, 'b6');
    first.say(7);
    assert.equal((await nextLine(reader)).text, 'a7');
    second.cut();
    assert.match((await nextLine(reader)).text, /machine b are missing here, until it is back: b /);
    second.say(8);
    second.say(9);
    assert.equal((await nextLine(reader)).text, 'b8');
    assert.equal((await nextLine(reader)).text, 'b9');
    reader.end.abort();
  });

  test('has a machine that comes later from where the reader began', async () => {
    const machines = [new Machine('a', 1)];
    const reader = aReader(machines, { follow: true });
    assert.equal((await nextLine(reader)).text, 'a1');
    const late = new Machine('c', 1);
    late.lines.push({ ...(late.lines[0] as LogLine), time: '2026-01-01T02:00:00Z', cursor: '1.2' });
    machines.push(late);
    assert.equal((await nextLine(reader)).time, '2026-01-01T02:00:00Z');
    reader.end.abort();
  });

  test('that broke off goes on by its cursor, on the machine that had said nothing too', async () => {
    const machines = [new Machine('a', 1), new Machine('b')];
    const [first, second] = machines as [Machine, Machine];
    const reader = aReader(machines, { follow: true });
    const { cursor } = await nextLine(reader);
    reader.end.abort();
    assert.deepEqual([...parseMergedCursor(cursor).places.keys()], ['host-a']);
    first.say(3);
    second.say(2);
    const again = aReader(machines, { follow: true, after: cursor });
    const texts = [await nextLine(again), await nextLine(again)].map(({ text }) => text);
    assert.deepEqual(texts.sort(), ['a3', 'b2']);
    again.end.abort();
  });
});
