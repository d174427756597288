// The history of one app on disk: NDJSON files of bounded size and number, `<number>.ndjson`, appended by one process.
// Readers follow by position, so that a slow one costs no memory and loses nothing until its file is dropped.

import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { historyChunkBytes } from './config.ts';

const newline = 10;

export interface SegmentPosition {
  segment: number;
  offset: number;
}

export interface SegmentLine {
  text: string;
  /** Behind it. */
  end: SegmentPosition;
}

export interface SegmentChunk {
  lines: SegmentLine[];
  /** Where it was read from: later than asked for when there is a gap. */
  start: SegmentPosition;
  next: SegmentPosition;
  /** The file that was asked for was dropped before it was read. */
  isGap: boolean;
}

export interface SegmentLimits {
  segmentBytes: number;
  segments: number;
}

export class Segments {
  readonly #folder: string;
  readonly #limits: SegmentLimits;
  #numbers: number[] = [];
  #file: FileHandle | undefined;
  #size = 0;
  #isClosed = false;
  readonly #waiting = new Set<() => void>();

  private constructor(folder: string, limits: SegmentLimits) {
    this.#folder = folder;
    this.#limits = limits;
  }

  /** Opens or makes the history; a line torn by a crash at its end is cut off. */
  static async open(folder: string, limits: SegmentLimits): Promise<Segments> {
    const segments = new Segments(folder, limits);
    await mkdir(folder, { recursive: true, mode: 0o750 });
    const names = await readdir(folder);
    const numbers = names.flatMap((name) => name.match(/^(\d+)\.ndjson$/)?.[1] ?? []).map(Number);
    segments.#numbers = numbers.sort((a, b) => a - b);
    await segments.#openLast();
    return segments;
  }

  get end(): SegmentPosition {
    return { segment: this.#last, offset: this.#size };
  }

  get start(): SegmentPosition {
    return { segment: this.#numbers[0] ?? this.#last, offset: 0 };
  }

  /** Nothing more comes from here: another process, or a later collector of this one, writes the history now. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Oldest first. */
  get numbers(): readonly number[] {
    return this.#numbers;
  }

  get #last(): number {
    return this.#numbers.at(-1) ?? 1;
  }

  async append(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return;
    if (this.#size >= this.#limits.segmentBytes) await this.#rotate();
    const bytes = Buffer.from(`${lines.join('\n')}\n`);
    await this.#file?.writeFile(bytes);
    this.#size += bytes.length;
    for (const wake of this.#waiting) wake();
  }

  async sync(): Promise<void> {
    await this.#file?.datasync();
  }

  /** Resolves when something was appended after `position`, when the history is closed, or when the signal fires. */
  changed(position: SegmentPosition, signal: AbortSignal): Promise<void> {
    const { segment, offset } = this.end;
    const isBehind = segment > position.segment || offset > position.offset;
    if (signal.aborted || this.#isClosed || isBehind) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  /** Whole lines from a position on, at most `limitBytes`. */
  async read(from: SegmentPosition, limitBytes: number): Promise<SegmentChunk> {
    const isGap = this.#numbers.length > 0 && from.segment < (this.#numbers[0] ?? 0);
    const start = isGap ? this.start : from;
    const { segment, offset } = start;
    // Asked before reading: a segment that has a successor by then gets no more, one that has none yet may.
    const isComplete = segment < this.#last;
    const chunk = await readAt(this.#path(segment), offset, limitBytes);
    // Dropped between the look and the reading: the same gap, seen a moment later.
    if (chunk === undefined)
      return {
        lines: [],
        start: this.start,
        next: this.start,
        isGap: segment < this.start.segment,
      };
    const lines = linesIn(chunk, start);
    const end = lines.at(-1)?.end;
    const next = end ?? (isComplete ? { segment: segment + 1, offset: 0 } : start);
    return { lines, start, next, isGap };
  }

  /**
   * The place to go on from for a reader who was there before, and whether it is exactly the one: a machine that lost power
   * may have lost what was not on its disk yet, and then the nearest place that there is.
   */
  async resume(wanted: SegmentPosition): Promise<{ position: SegmentPosition; isExact: boolean }> {
    const { segment, offset } = wanted;
    if (segment > this.#last) return { position: this.end, isExact: false };
    if (segment < this.start.segment || offset === 0) return { position: wanted, isExact: true };
    const before = await readAt(this.#path(segment), offset - 1, 1);
    if (before?.[0] === newline) return { position: wanted, isExact: true };
    const { lines } = await this.read({ segment, offset: 0 }, offset);
    return { position: lines.at(-1)?.end ?? { segment, offset: 0 }, isExact: false };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const wake of this.#waiting) wake();
    await this.#file?.close();
    this.#file = undefined;
  }

  async #openLast(): Promise<void> {
    if (this.#numbers.length === 0) this.#numbers.push(1);
    const path = this.#path(this.#last);
    this.#file = await open(path, 'a', 0o640);
    this.#size = (await stat(path)).size;
    const from = Math.max(0, this.#size - historyChunkBytes);
    const tail = await readAt(path, from, historyChunkBytes);
    if (tail === undefined) return;
    const whole = this.#size - tail.length + tail.lastIndexOf(newline) + 1;
    if (tail.length === 0 || whole === this.#size) return;
    await this.#file.truncate(whole);
    this.#size = whole;
  }

  async #rotate(): Promise<void> {
    await this.#file?.datasync();
    await this.#file?.close();
    const next = this.#last + 1;
    this.#file = await open(this.#path(next), 'a', 0o640);
    // Only now: a reader that is told of a segment finds its file.
    this.#numbers.push(next);
    this.#size = 0;
    while (this.#numbers.length > this.#limits.segments) {
      const oldest = this.#numbers.shift();
      if (oldest !== undefined) await rm(this.#path(oldest), { force: true });
    }
  }

  #path(segment: number): string {
    return join(this.#folder, `${segment}.ndjson`);
  }
}

function linesIn(chunk: Buffer, { segment, offset }: SegmentPosition): SegmentLine[] {
  const lines: SegmentLine[] = [];
  let start = 0;
  for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, start)) {
    const text = chunk.toString('utf8', start, at);
    start = at + 1;
    lines.push({ text, end: { segment, offset: offset + start } });
  }
  return lines;
}

/** Undefined when there is no such file. */
async function readAt(
  path: string,
  offset: number,
  limitBytes: number,
): Promise<Buffer | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const buffer = Buffer.allocUnsafe(limitBytes);
    const { bytesRead } = await file.read(buffer, 0, limitBytes, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
