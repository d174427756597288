// The history of one app on disk: NDJSON files of bounded size and number, `<number>.ndjson`, appended by one process.
// Readers follow by position, so that a slow one costs no memory and loses nothing until its file is dropped.

import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface SegmentPosition {
  segment: number;
  offset: number;
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

  /** Resolves when something was appended after `position`, or the signal fires. */
  changed(position: SegmentPosition, signal: AbortSignal): Promise<void> {
    const { segment, offset } = this.end;
    if (signal.aborted || segment > position.segment || offset > position.offset)
      return Promise.resolve();
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

  /** Whole lines from a position on, at most `limitBytes`; `isGap` when its file was dropped before it was read. */
  async read(
    from: SegmentPosition,
    limitBytes: number,
  ): Promise<{ lines: string[]; next: SegmentPosition; isGap: boolean }> {
    const isGap = this.#numbers.length > 0 && from.segment < (this.#numbers[0] ?? 0);
    const segment = isGap ? (this.#numbers[0] ?? from.segment) : from.segment;
    const offset = isGap ? 0 : from.offset;
    // Asked before reading: a segment that has a successor by then gets no more, one that has none yet may.
    const isComplete = segment < this.#last;
    const chunk = await readAt(this.#path(segment), offset, limitBytes);
    // Dropped between the look and the reading: the same gap, seen a moment later.
    if (chunk === undefined) return { lines: [], next: this.start, isGap: true };
    const end = chunk.lastIndexOf(10) + 1;
    const lines = end === 0 ? [] : chunk.toString('utf8', 0, end - 1).split('\n');
    const isDone = end === 0 && isComplete;
    const next = isDone ? { segment: segment + 1, offset: 0 } : { segment, offset: offset + end };
    return { lines, next, isGap };
  }

  async close(): Promise<void> {
    for (const wake of this.#waiting) wake();
    await this.#file?.close();
    this.#file = undefined;
  }

  async #openLast(): Promise<void> {
    if (this.#numbers.length === 0) this.#numbers.push(1);
    const path = this.#path(this.#last);
    this.#file = await open(path, 'a', 0o640);
    this.#size = (await stat(path)).size;
    const tail = await readAt(path, Math.max(0, this.#size - 1024 * 1024), 1024 * 1024);
    if (tail === undefined) return;
    const whole = this.#size - tail.length + tail.lastIndexOf(10) + 1;
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
