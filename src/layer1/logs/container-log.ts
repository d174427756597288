// Follows the files of one container into its app's log: read what is new, in order, through any number of rotations.

import { type FileHandle, open, stat } from 'node:fs/promises';
import type { LogSource } from '#layer0/host/client';
import { isResultLine } from '#layer1/builder/wire';
import type { AppLog, StoredLine } from './app-log.ts';
import { readChunkBytes } from './config.ts';
import { type LogFile, nextRead, type Position } from './decide/next-file.ts';
import { JsonFileParser, type RawLine } from './json-file.ts';

/** More rotated files than any engine setting of ours keeps. */
const maxRotated = 9;

export class ContainerLog {
  readonly source: LogSource;
  readonly #app: AppLog;
  readonly #parser = new JsonFileParser();
  #position: Position | undefined;
  #isAfterGap = false;
  #lastTime = new Date(0).toISOString();
  #open: { inode: number; handle: FileHandle } | undefined;

  constructor(source: LogSource, app: AppLog) {
    this.source = source;
    this.#app = app;
    this.#position = app.position(source.containerId);
  }

  /** Reads until nothing is left. False when the files are gone: the container was removed. */
  async readAll(signal: AbortSignal): Promise<boolean> {
    for (;;) {
      if (signal.aborted) return true;
      const files = await listFiles(this.source.path);
      const next = nextRead(files, this.#position);
      if (next.kind === 'wait') return files.length > 0;
      if (next.kind === 'gap') {
        this.#isAfterGap = true;
        this.#position = positionIn(next.file, 0);
      } else if (!(await this.#readChunk(next.file, next.offset))) {
        // Half an entry: of the current file it is being written; a rotated one gets no more.
        const isCurrent = files[0]?.inode === next.file.inode;
        if (isCurrent) return true;
        this.#position = positionIn(next.file, next.file.sizeBytes);
      }
    }
  }

  /** The container is gone: what the app wrote without a final newline is a line all the same. */
  async finish(): Promise<void> {
    const position = this.#position ?? { inode: 0, offset: 0 };
    const rest = this.#parser.flush(position.offset, this.#lastTime);
    await this.#app.append(rest.map((line) => this.#stored(line, position)));
    this.#app.forget(this.source.containerId);
    await this.close();
  }

  async close(): Promise<void> {
    const handle = this.#open?.handle;
    this.#open = undefined;
    await handle?.close();
  }

  /** False when there was no whole entry to read. */
  async #readChunk(file: LogFile, offset: number): Promise<boolean> {
    const handle = await this.#handleOf(file);
    if (!handle) return true;
    const buffer = Buffer.allocUnsafe(readChunkBytes);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
    const { lines, consumed } = this.#parser.parse(buffer.subarray(0, bytesRead), offset);
    this.#lastTime = lines.at(-1)?.time ?? this.#lastTime;
    // What a build tells the builder is told to nobody else.
    const kept = lines.filter(({ text }) => !isResultLine({ type: this.source.type, text }));
    const gap = this.#gapBefore(kept, file);
    await this.#app.append([...gap, ...kept.map((line) => this.#stored(line, file))]);
    // A whole chunk without a newline is no log entry of any engine: it is stepped over.
    const isNoEntry = consumed === 0 && bytesRead === buffer.length;
    this.#position = positionIn(file, offset + (isNoEntry ? bytesRead : consumed));
    return consumed > 0 || isNoEntry;
  }

  /** The file by inode: its path may mean another file by now. */
  async #handleOf(file: LogFile): Promise<FileHandle | undefined> {
    if (this.#open?.inode === file.inode) return this.#open.handle;
    await this.close();
    const handle = await open(file.path, 'r');
    const { ino } = await handle.stat();
    if (ino !== file.inode) {
      await handle.close();
      return undefined;
    }
    this.#open = { inode: ino, handle };
    return handle;
  }

  /** The line that says so bears the time of the first line after it, so that it stays at its place. */
  #gapBefore(lines: readonly RawLine[], file: LogFile): StoredLine[] {
    const first = lines[0];
    if (!this.#isAfterGap || first === undefined) return [];
    this.#isAfterGap = false;
    const text = 'lines are missing here: the engine deleted its file before it was read';
    const line = { time: first.time, stream: 'gantry' as const, text, resumeOffset: 0 };
    return [{ ...this.#stored(line, file), isGap: true }];
  }

  #stored(
    line: Omit<RawLine, 'stream'> & { stream: StoredLine['stream'] },
    { inode, bornMs }: Pick<Position, 'inode' | 'bornMs'>,
  ): StoredLine {
    const { app, type, index, job, containerId } = this.source;
    const place: [string, number, number] = [containerId, inode, line.resumeOffset];
    return {
      time: line.time,
      app,
      type,
      instance: `${type}.${index}`,
      job,
      stream: line.stream,
      text: line.text,
      at: bornMs === undefined ? place : [...place, bornMs],
    };
  }
}

function positionIn({ inode, bornMs }: LogFile, offset: number): Position {
  return { inode, offset, ...(bornMs === undefined ? {} : { bornMs }) };
}

/** Newest first. A rotation in the middle of the listing shows as one inode twice, or as a hole: list again. */
async function listFiles(path: string): Promise<LogFile[]> {
  for (;;) {
    const files: LogFile[] = [];
    for (let index = 0; index <= maxRotated; index++) {
      const file = await describe(index === 0 ? path : `${path}.${index}`);
      if (file) files.push(file);
      else if (index > 0) break;
    }
    const inodes = new Set(files.map(({ inode }) => inode));
    if (inodes.size === files.length) return files;
  }
}

async function describe(path: string): Promise<LogFile | undefined> {
  try {
    const { ino, size, birthtimeMs, ctimeMs } = await stat(path);
    // Without an answer of the file system Node takes the time of the last change for it, or zero.
    const isKnown = birthtimeMs > 0 && birthtimeMs < ctimeMs;
    return { path, inode: ino, sizeBytes: size, ...(isKnown ? { bornMs: birthtimeMs } : {}) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
