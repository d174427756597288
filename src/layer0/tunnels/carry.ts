// Carries one connection over another one, so that an end, a half end and a break come out as what they went in.
// A frame is four bytes of length, then so many bytes; no bytes mean that this side has said all. A connection that ends without
// that was broken.

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { maxFrameBytes } from './config.ts';

const headBytes = 4;

/**
 * Ends both when both have said all, or one of them breaks. Each side waits for the other: never more than what their buffers
 * hold is in memory. `local` must allow half open.
 */
export function carry(local: Socket, far: Duplex): void {
  const said = { here: false, there: false };
  let isOver = false;
  const finish = (isBroken: boolean) => {
    if (isOver) return;
    isOver = true;
    if (isBroken) {
      far.destroy();
      local.resetAndDestroy();
    } else far.end();
  };
  const sayEnd = (side: keyof typeof said) => {
    said[side] = true;
    if (said.here && said.there) finish(false);
  };
  const frames = new FrameReader({
    data: (chunk) => {
      if (!local.write(chunk)) far.pause();
    },
    end: () => {
      local.end();
      // One that ends never says that it has drained.
      far.resume();
      sayEnd('there');
    },
  });
  local.on('data', (chunk) => {
    if (!writeFrames(far, chunk)) local.pause();
  });
  local.on('end', () => {
    far.write(Buffer.alloc(headBytes));
    sayEnd('here');
  });
  local.on('drain', () => far.resume());
  far.on('drain', () => local.resume());
  far.on('data', (chunk: Buffer) => {
    if (!frames.push(chunk)) finish(true);
  });
  for (const event of ['error', 'close']) local.on(event, () => finish(true));
  for (const event of ['end', 'error', 'close']) far.on(event, () => finish(true));
  local.resume();
  far.resume();
}

function writeFrames(far: Duplex, chunk: Buffer): boolean {
  let isRoom = true;
  for (let start = 0; start < chunk.length; start += maxFrameBytes) {
    const part = chunk.subarray(start, start + maxFrameBytes);
    const head = Buffer.alloc(headBytes);
    head.writeUInt32BE(part.length);
    far.cork();
    far.write(head);
    isRoom = far.write(part);
    far.uncork();
  }
  return isRoom;
}

class FrameReader {
  readonly #take: { data(chunk: Buffer): void; end(): void };
  #head = Buffer.alloc(0);
  #left = 0;
  #isAtEnd = false;

  constructor(take: { data(chunk: Buffer): void; end(): void }) {
    this.#take = take;
  }

  /** False when these are no frames. */
  push(chunk: Buffer): boolean {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#isAtEnd) return false;
      if (this.#left > 0) {
        const part = rest.subarray(0, this.#left);
        this.#left -= part.length;
        rest = rest.subarray(part.length);
        this.#take.data(part);
        continue;
      }
      const missing = headBytes - this.#head.length;
      this.#head = Buffer.concat([this.#head, rest.subarray(0, missing)]);
      rest = rest.subarray(missing);
      if (this.#head.length < headBytes) return true;
      this.#left = this.#head.readUInt32BE();
      this.#head = Buffer.alloc(0);
      if (this.#left > maxFrameBytes) return false;
      if (this.#left > 0) continue;
      this.#isAtEnd = true;
      this.#take.end();
    }
    return true;
  }
}
