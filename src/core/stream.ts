// Streams between processes: newline-delimited JSON with a heartbeat, so that a hung peer is noticed.

import { Readable } from 'node:stream';
import type { Clock } from './clock.ts';
import { coreErrors } from './errors.ts';

/** Longest silence of a healthy stream: the sender writes an empty line at a third of it. */
export const streamSilenceMs = 15_000;
/** Longest line accepted from a peer, bytes: a store batch of 1 MB and its framing. */
export const maxLineBytes = 4 * 1024 * 1024;

/** JSON lines out of an iterable, with heartbeats in between; destroying the stream ends the iterable. */
export function toNdjson(source: AsyncIterable<unknown>, clock: Clock): Readable {
  const iterator = source[Symbol.asyncIterator]();
  let beat = clock.timer(streamSilenceMs / 3, pulse);
  let isReading = false;
  const stream = new Readable({
    encoding: 'utf8',
    read() {
      if (isReading) return;
      isReading = true;
      iterator.next().then(
        (step) => {
          isReading = false;
          stream.push(step.done ? null : `${JSON.stringify(step.value)}\n`);
        },
        (error: unknown) =>
          stream.destroy(error instanceof Error ? error : new Error(String(error))),
      );
    },
    destroy(error, done) {
      beat.cancel();
      Promise.resolve(iterator.return?.()).then(
        () => done(error),
        () => done(error),
      );
    },
  });
  function pulse(): void {
    if (stream.destroyed || stream.readableEnded) return;
    if (stream.readableLength === 0) stream.push('\n');
    beat = clock.timer(streamSilenceMs / 3, pulse);
  }
  return stream;
}

/** Lines of a byte stream without their newline, empty lines included; a longer line than `maxBytes` is core.tooLarge. */
export async function* readLines(
  source: AsyncIterable<Uint8Array | string>,
  maxBytes = maxLineBytes,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of source) {
    rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n', start)) {
      yield rest.slice(start, end);
      start = end + 1;
    }
    rest = rest.slice(start);
    if (rest.length > maxBytes)
      throw coreErrors.tooLarge(`a line of the stream is longer than ${maxBytes} bytes`);
  }
  if (rest) yield rest;
}

/** Values of an NDJSON byte stream; heartbeats are skipped. */
export async function* fromNdjson<T>(
  source: AsyncIterable<Uint8Array | string>,
): AsyncGenerator<T> {
  for await (const line of readLines(source)) if (line.trim()) yield JSON.parse(line) as T;
}

/** A queue between a producer that calls and a consumer that iterates; the limit makes a slow consumer an error, not a leak. */
export class AsyncQueue<T> implements AsyncIterable<T> {
  readonly #limit: number;
  #items: T[] = [];
  #waiting: (() => void) | undefined;
  #error: unknown;
  #isClosed = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** False when the queue is full or closed; full also fails the consumer with core.overloaded. */
  push(item: T): boolean {
    if (this.#isClosed) return false;
    if (this.#items.length >= this.#limit) {
      this.fail(coreErrors.overloaded(`a reader fell ${this.#limit} items behind`));
      return false;
    }
    this.#items.push(item);
    this.#wake();
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  /** The consumer sees what is queued, then the error. */
  fail(error: unknown): void {
    if (this.#isClosed) return;
    this.#error = error;
    this.close();
  }

  #wake(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        const item = this.#items.shift();
        if (item !== undefined) yield item;
        else if (this.#error !== undefined) throw this.#error;
        else if (this.#isClosed) return;
        else await new Promise<void>((resolve) => (this.#waiting = resolve));
      }
    } finally {
      this.#isClosed = true;
      this.#items = [];
    }
  }
}
