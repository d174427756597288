// The engine's json-file format: one object a line, {"log":"text\n","stream":"stdout","time":"..."}.
// A line of the app longer than 16 KiB comes in pieces; only the last one ends in a newline.

import { maxLineBytes } from './config.ts';

export interface RawLine {
  time: string;
  stream: 'stdout' | 'stderr';
  text: string;
  /**
   * Reading again from here repeats nothing and loses nothing: where the line's last entry ends, or where an unfinished
   * line of the other stream began before it (then that much is read twice).
   */
  resumeOffset: number;
}

export interface Parsed {
  lines: RawLine[];
  /** Bytes consumed: up to the end of the last complete entry. */
  consumed: number;
}

/** Joins the pieces of long lines, per stream: the pieces of two streams may alternate. */
export class JsonFileParser {
  readonly #pieces = { stdout: '', stderr: '' };
  /** Before the first entry: a torn one then comes first, where it is. */
  #lastTime = new Date(0).toISOString();
  readonly #begunAt: { stdout?: number; stderr?: number } = {};

  /** Parses whole entries of `chunk`, whose first byte is at `offset` of the file. */
  parse(chunk: Buffer, offset: number): Parsed {
    const lines: RawLine[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const entry = parseEntry(chunk.toString('utf8', start, end), this.#lastTime);
      this.#lastTime = entry?.time ?? this.#lastTime;
      if (entry) this.#take(entry, { start: offset + start, end: offset + end + 1 }, lines);
      start = end + 1;
    }
    return { lines, consumed: start };
  }

  /** Lines the app never ended, when its container has ended. */
  flush(offset: number, time: string): RawLine[] {
    return (['stdout', 'stderr'] as const).flatMap((stream) => {
      const text = this.#pieces[stream];
      this.#pieces[stream] = '';
      delete this.#begunAt[stream];
      return text ? [{ time, stream, text, resumeOffset: offset }] : [];
    });
  }

  #take({ stream, time, log }: Entry, at: { start: number; end: number }, lines: RawLine[]): void {
    const text = this.#pieces[stream] + log;
    if (!text.endsWith('\n') && text.length < maxLineBytes) {
      this.#pieces[stream] = text;
      this.#begunAt[stream] ??= at.start;
      return;
    }
    this.#pieces[stream] = '';
    delete this.#begunAt[stream];
    const { stdout = at.end, stderr = at.end } = this.#begunAt;
    const resumeOffset = Math.min(at.end, stdout, stderr);
    lines.push({ time, stream, text: text.replace(/\r?\n$/, ''), resumeOffset });
  }
}

interface Entry {
  log: string;
  stream: 'stdout' | 'stderr';
  time: string;
}

/** A torn entry (the machine lost power while the engine wrote) is shown at its place as it is, not dropped. */
function parseEntry(text: string, lastTime: string): Entry | undefined {
  if (text.trim() === '') return undefined;
  try {
    const value = JSON.parse(text) as Partial<Entry>;
    const stream = value.stream === 'stderr' ? 'stderr' : 'stdout';
    return { log: value.log ?? '', stream, time: inNanoseconds(value.time ?? lastTime) };
  } catch {
    const readable = text.replaceAll('\0', '').slice(0, 1000);
    return { log: `${readable}\n`, stream: 'stderr', time: inNanoseconds(lastTime) };
  }
}

/** The engine leaves out zeros at the end of a fraction; with all nine digits the order of texts is that of times. */
export function inNanoseconds(time: string): string {
  const [, seconds, fraction = ''] = /^([^.]*?)(?:\.(\d+))?Z$/.exec(time) ?? [];
  return seconds === undefined ? time : `${seconds}.${fraction.padEnd(9, '0')}Z`;
}
