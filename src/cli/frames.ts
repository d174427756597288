// The two outputs of a process without a terminal, apart again: 8 bytes (stream, 0, 0, 0, length), then that many bytes.

import { cliErrors } from './errors.ts';

export interface Piece {
  isError: boolean;
  data: Buffer;
}

const headerBytes = 8;
const stderrStream = 2;

/** Holds at most a piece of a header: what is in a frame goes on as it comes. */
export class FrameReader {
  #header = Buffer.alloc(0);
  #isError = false;
  #left = 0;

  read(chunk: Buffer): Piece[] {
    const pieces: Piece[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#left === 0) rest = this.#readHeader(rest);
      const data = rest.subarray(0, this.#left);
      if (data.length > 0) pieces.push({ isError: this.#isError, data });
      this.#left -= data.length;
      rest = rest.subarray(data.length);
    }
    return pieces;
  }

  #readHeader(bytes: Buffer): Buffer {
    const missing = headerBytes - this.#header.length;
    this.#header = Buffer.concat([this.#header, bytes.subarray(0, missing)]);
    if (this.#header.length < headerBytes) return bytes.subarray(bytes.length);
    const [stream = 255, ...zeros] = this.#header.subarray(0, 4);
    if (stream > stderrStream || zeros.some((byte) => byte !== 0))
      throw cliErrors.failed('the process is not readable: its output came without the framing');
    this.#isError = stream === stderrStream;
    this.#left = this.#header.readUInt32BE(4);
    this.#header = Buffer.alloc(0);
    return bytes.subarray(missing);
  }
}
