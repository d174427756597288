// The output of an attached process without a terminal, as lines: takes off the engine's framing, both streams in the order
// they came.

import { readLines } from '#core/stream';
import { builderErrors } from '../errors.ts';

const headerBytes = 8;
/** What one line may hold before it is cut: a pusher's terminal is no place for more. */
const maxShownBytes = 16 * 1024;

export async function* outputLines(
  socket: AsyncIterable<Uint8Array>,
  keepWhole: (line: string) => boolean,
): AsyncGenerator<string> {
  for await (const line of readLines(unframed(socket))) {
    const text = line.replace(/\r$/, '');
    yield text.length > maxShownBytes && !keepWhole(text)
      ? `${text.slice(0, maxShownBytes)}...`
      : text;
  }
}

/** Payloads of frames: 8 bytes (stream, 0, 0, 0, length), then that many bytes. */
async function* unframed(socket: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let header = Buffer.alloc(0);
  let left = 0;
  for await (const chunk of socket) {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (rest.length > 0) {
      if (left === 0) {
        const missing = headerBytes - header.length;
        header = Buffer.concat([header, rest.subarray(0, missing)]);
        rest = rest.subarray(missing);
        if (header.length < headerBytes) break;
        if (header.readUInt32BE(0) > 0x02ffffff || header.readUIntBE(1, 3) !== 0)
          throw builderErrors.failed('the output of the build came garbled from the engine');
        left = header.readUInt32BE(4);
        header = Buffer.alloc(0);
        continue;
      }
      const part = rest.subarray(0, left);
      left -= part.length;
      rest = rest.subarray(part.length);
      yield part;
    }
  }
}
