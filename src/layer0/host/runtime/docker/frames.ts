// The framing of attach and exec without a TTY: 8 bytes (stream, 0, 0, 0, length) and then that many bytes.
// Pure: bytes in, frames out, cut anywhere. A frame may be handed out in pieces, never out of order.

export type StreamName = 'stdin' | 'stdout' | 'stderr';

export interface Frame {
  stream: StreamName;
  data: Buffer;
}

const headerBytes = 8;
const streamNames: StreamName[] = ['stdin', 'stdout', 'stderr'];

export function encodeFrame(stream: StreamName, data: Uint8Array): Buffer {
  const header = Buffer.alloc(headerBytes);
  header[0] = streamNames.indexOf(stream);
  header.writeUInt32BE(data.length, 4);
  return Buffer.concat([header, data]);
}

/** Holds at most an incomplete header; the bytes of a frame are passed on as they come, so a huge frame costs nothing. */
export class FrameDecoder {
  #header = Buffer.alloc(0);
  #stream: StreamName = 'stdout';
  #left = 0;

  /** The frames, or parts of frames, in this chunk. Throws on bytes that are no framing. */
  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (rest.length > 0) {
      if (this.#left === 0) rest = this.#readHeader(rest);
      const data = rest.subarray(0, this.#left);
      if (data.length > 0) frames.push({ stream: this.#stream, data });
      this.#left -= data.length;
      rest = rest.subarray(data.length);
    }
    return frames;
  }

  /** False when the bytes so far end inside a frame: the stream was cut off. */
  get isComplete(): boolean {
    return this.#left === 0 && this.#header.length === 0;
  }

  #readHeader(bytes: Buffer): Buffer {
    const missing = headerBytes - this.#header.length;
    const header = Buffer.concat([this.#header, bytes.subarray(0, missing)]);
    if (header.length < headerBytes) {
      this.#header = header;
      return bytes.subarray(bytes.length);
    }
    const stream = streamNames[header[0] ?? 255];
    if (!stream || header[1] || header[2] || header[3])
      throw new RangeError(`not a frame of an attached stream: ${header.toString('hex')}`);
    this.#stream = stream;
    this.#left = header.readUInt32BE(4);
    this.#header = Buffer.alloc(0);
    return bytes.subarray(missing);
  }
}

/** The frames of a byte stream, with backpressure: the source is read only as fast as the frames are taken. */
export async function* demultiplex(source: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  const decoder = new FrameDecoder();
  for await (const chunk of source) yield* decoder.push(chunk);
}
