// What is on the disk after a power cut? Everything up to a file's last sync, and of what came later any part.
// Replays a recording of record-writes.c.

import { readFileSync } from 'node:fs';
import type { Random } from '#core/random';

export interface DiskEvent {
  op: 'c' | 'w' | 't' | 's' | 'u';
  path: string;
  offset: number;
  data: Buffer;
}

/** What becomes of writes that were not synced. */
export type Fate = 'dropped' | 'kept' | 'torn';

const sectorBytes = 512;
const headBytes = 32;

export function readRecording(path: string): DiskEvent[] {
  const log = readFileSync(path);
  const events: DiskEvent[] = [];
  for (let at = 0; at < log.length; ) {
    const [op, pathLength, offset, size] = [0, 8, 16, 24].map((field) =>
      Number(log.readBigUInt64LE(at + field)),
    ) as [number, number, number, number];
    const dataAt = at + headBytes + pathLength;
    events.push({
      op: String.fromCharCode(op) as DiskEvent['op'],
      path: log.toString('utf8', at + headBytes, dataAt),
      offset,
      data: log.subarray(dataAt, dataAt + size),
    });
    at = dataAt + size;
  }
  return events;
}

/** A file's bytes, grown in place. */
class Content {
  #room: Buffer;
  #length: number;

  constructor(bytes: Buffer = Buffer.alloc(0)) {
    this.#room = Buffer.from(bytes);
    this.#length = bytes.length;
  }

  get bytes(): Buffer {
    return this.#room.subarray(0, this.#length);
  }

  apply({ op, offset, data }: DiskEvent): void {
    const length = op === 't' ? offset : Math.max(this.#length, offset + data.length);
    if (length > this.#room.length) {
      const larger = Buffer.alloc(2 * length);
      this.bytes.copy(larger);
      this.#room = larger;
    }
    if (length < this.#length) this.#room.fill(0, length, this.#length);
    this.#length = length;
    if (op === 'w') data.copy(this.#room, offset);
  }
}

interface FileState {
  synced: Content;
  pending: DiskEvent[];
}

/** The disk while a recording is played. */
export class ReplayedDisk {
  readonly #files = new Map<string, FileState>();
  syncs = 0;

  play(event: DiskEvent): void {
    if (event.op === 'u') return void this.#files.delete(event.path);
    const known = this.#files.get(event.path);
    if (event.op === 's') {
      this.syncs++;
      // A sync of a folder concerns names, which this disk keeps at once.
      if (!known) return;
      for (const write of known.pending) known.synced.apply(write);
      known.pending = [];
      return;
    }
    const file = known ?? { synced: new Content(), pending: [] };
    if (event.op !== 'c') file.pending.push(event);
    this.#files.set(event.path, file);
  }

  /** The files as found after the cut. */
  cut(fate: Fate, random: Random): Map<string, Buffer> {
    const found = new Map<string, Buffer>();
    for (const [path, { synced, pending }] of this.#files) {
      const content = new Content(synced.bytes);
      const survivors = fate === 'dropped' ? [] : pending;
      for (const event of survivors)
        for (const part of fate === 'torn' ? torn(event, random) : [event]) content.apply(part);
      found.set(path, content.bytes);
    }
    return found;
  }
}

/** Each sector of a write reaches the disk or does not. */
function torn(event: DiskEvent, random: Random): DiskEvent[] {
  if (event.op !== 'w') return random() < 0.5 ? [event] : [];
  const parts: DiskEvent[] = [];
  for (let at = 0; at < event.data.length; at += sectorBytes) {
    const data = event.data.subarray(at, at + sectorBytes);
    if (random() < 0.5) parts.push({ ...event, offset: event.offset + at, data });
  }
  return parts;
}
