// The log of one app: its history, and how far each container's file has come into it. One process writes.
// A line and the position behind it are one record, so that a crash neither loses a line nor repeats one.

import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { historyChunkBytes } from './config.ts';
import type { Position } from './decide/next-file.ts';
import { type SegmentLimits, type SegmentPosition, Segments } from './segments.ts';
import type { LogLine } from './wire.ts';

/** What a line of the history is on disk: the line, and the container and the place in its file to go on from. */
export type StoredLine = Omit<LogLine, 'cursor'> & {
  at: [container: string, inode: number, offset: number, bornMs?: number];
};

interface Checkpoint {
  end: SegmentPosition;
  positions: Record<string, Position>;
}

export class AppLog {
  readonly segments: Segments;
  readonly #folder: string;
  readonly #positions: Map<string, Position>;
  #isDirty = false;
  #tail: Promise<void> = Promise.resolve();

  private constructor(folder: string, segments: Segments, positions: Map<string, Position>) {
    this.#folder = folder;
    this.segments = segments;
    this.#positions = positions;
  }

  static async open(folder: string, limits: SegmentLimits): Promise<AppLog> {
    const segments = await Segments.open(folder, limits);
    const checkpoint = await readCheckpoint(folder);
    const positions = new Map(Object.entries(checkpoint?.positions ?? {}));
    let from = checkpoint?.end ?? segments.start;
    for (;;) {
      const { lines, next } = await segments.read(from, historyChunkBytes);
      if (lines.length === 0 && next.segment === from.segment) break;
      for (const { text } of lines) {
        const { at } = JSON.parse(text) as StoredLine;
        positions.set(at[0], positionOf(at));
      }
      from = next;
    }
    return new AppLog(folder, segments, positions);
  }

  position(container: string): Position | undefined {
    return this.#positions.get(container);
  }

  /** Appends in the order of calls. */
  append(lines: readonly StoredLine[]): Promise<void> {
    const done = this.#tail.then(async () => {
      await this.segments.append(lines.map((line) => JSON.stringify(line)));
      for (const { at } of lines) this.#positions.set(at[0], positionOf(at));
      this.#isDirty = true;
    });
    this.#tail = done.catch(() => undefined);
    return done;
  }

  /** Makes lines and positions durable: the history first, so that a position never runs ahead of it. */
  async checkpoint(): Promise<void> {
    await this.#tail;
    if (!this.#isDirty) return;
    this.#isDirty = false;
    const state: Checkpoint = {
      end: this.segments.end,
      positions: Object.fromEntries(this.#positions),
    };
    await this.segments.sync();
    const path = join(this.#folder, 'checkpoint.json');
    await writeFile(`${path}.part`, JSON.stringify(state));
    await rename(`${path}.part`, path);
  }

  /** A container's files are gone: its position is of no use any more. */
  forget(container: string): void {
    this.#isDirty = this.#positions.delete(container) || this.#isDirty;
  }

  async close(): Promise<void> {
    await this.checkpoint();
    await this.segments.close();
  }

  async destroy(): Promise<void> {
    await this.#tail;
    await this.segments.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function positionOf([, inode, offset, bornMs]: StoredLine['at']): Position {
  return { inode, offset, ...(bornMs === undefined ? {} : { bornMs }) };
}

async function readCheckpoint(folder: string): Promise<Checkpoint | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, 'checkpoint.json'), 'utf8')) as Checkpoint;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
