// One member of etcd, over one HTTP/2 connection: gRPC's frames and statuses. Made on first use, and again after it broke.

import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import { coreErrors, errorFromBody, toAppError } from '#core/errors';

/** Bytes that may be on their way for one call, and for all of them. */
const streamWindowBytes = 1024 * 1024;
const connectionWindowBytes = 16 * 1024 * 1024;
/** Longest message taken: a page of a list, a fragment of a watch, a chunk of a snapshot. */
const maxMessageBytes = 1024 * 1024 * 1024;
const prefixBytes = 5;

export interface ConnectionOptions {
  url: string;
  /** Of each session that is made. */
  credentials?: () => { ca: string; cert: string; key: string };
}

export interface ExchangeOptions {
  headers?: Record<string, string>;
  /** Ends it with the signal's reason. */
  signal?: AbortSignal;
}

export class Connection {
  readonly #options: ConnectionOptions;
  #session: ClientHttp2Session | undefined;
  #active = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Sends messages, then yields those that come, until the status; one that is not OK is thrown, its number as code. */
  async *exchange(
    path: string,
    messages: Buffer[],
    { headers, signal }: ExchangeOptions,
  ): AsyncGenerator<Buffer> {
    signal?.throwIfAborted();
    let stream: ClientHttp2Stream | undefined;
    const onAbort = () => stream?.destroy(signal?.reason as Error);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      stream = this.#request(path, headers);
      const status = statusOf(stream);
      stream.end(Buffer.concat(messages.map(framed)));
      yield* readMessages(stream);
      this.#judge(path, await status);
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      throw asUnreachable(cause, `${path} at ${this.#options.url}`);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      if (stream && !stream.closed) stream.close(constants.NGHTTP2_CANCEL);
    }
  }

  /** All messages of an answer that comes within a time: core.timeout otherwise, and the next call connects anew. */
  async call(
    path: string,
    messages: Buffer[],
    { timeoutMs, headers = {} }: { timeoutMs: number; headers?: Record<string, string> },
  ): Promise<Buffer[]> {
    let stream: ClientHttp2Stream | undefined;
    const late = () => {
      this.#retire();
      const { url } = this.#options;
      stream?.destroy(coreErrors.timeout(`${path} at ${url}: no answer within ${timeoutMs} ms`));
    };
    const timer = setTimeout(late, timeoutMs);
    try {
      // The member is told too, so that it does not go on for nobody.
      stream = this.#request(path, { ...headers, 'grpc-timeout': `${timeoutMs}m` });
      stream.end(Buffer.concat(messages.map(framed)));
      const { status, bytes } = await wholeAnswer(stream);
      this.#judge(path, status);
      return [...unframed(bytes)];
    } catch (cause) {
      throw asUnreachable(cause, `${path} at ${this.#options.url}`);
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#session?.destroy();
    this.#session = undefined;
  }

  /** A connection that may be dead, and not know it: what is under way on it may still come. */
  #retire(): void {
    this.#session?.close();
    this.#session = undefined;
  }

  #judge(path: string, headers: IncomingHttpHeaders): void {
    const code = headers['grpc-status'];
    if (code === '0') return;
    const { url } = this.#options;
    if (code === undefined)
      throw coreErrors.unreachable(`${path} at ${url}: the answer broke off, or is not etcd's`);
    const message = decodeURIComponent(String(headers['grpc-message'] ?? ''));
    throw errorFromBody({ code: String(code), message }, 503, path);
  }

  #request(path: string, headers: Record<string, string> = {}): ClientHttp2Stream {
    const session = this.#open();
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    // An idle connection keeps no process alive.
    this.#active++;
    session.ref();
    stream.once('close', () => {
      this.#active--;
      if (this.#active === 0 && !session.destroyed) session.unref();
    });
    return stream;
  }

  #open(): ClientHttp2Session {
    const current = this.#session;
    if (current && !current.closed && !current.destroyed) return current;
    const { url, credentials } = this.#options;
    const session = connect(url, {
      ...credentials?.(),
      settings: { initialWindowSize: streamWindowBytes },
    });
    session.once('connect', () => {
      // It may come when the call that wanted it was given up long ago.
      if (!session.destroyed) session.setLocalWindowSize(connectionWindowBytes);
    });
    const forget = () => {
      if (this.#session === session) this.#session = undefined;
    };
    // Each stream fails by itself; without a listener the process would.
    session.on('error', forget).on('close', forget).on('goaway', forget);
    this.#session = session;
    return session;
  }
}

function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

async function* readMessages(stream: ClientHttp2Stream): AsyncGenerator<Buffer> {
  let chunks: Buffer[] = [];
  let held = 0;
  let wanted = prefixBytes;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    held += chunk.length;
    while (held >= wanted) {
      const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      const length = bytes.readUInt32BE(1);
      if (length > maxMessageBytes)
        throw coreErrors.tooLarge(`a message of ${length} bytes, ${maxMessageBytes} are taken`);
      wanted = prefixBytes + length;
      if (held < wanted) {
        chunks = [bytes];
        break;
      }
      yield bytes.subarray(prefixBytes, wanted);
      chunks = [bytes.subarray(wanted)];
      held -= wanted;
      wanted = prefixBytes;
    }
  }
}

/** All of an answer at once: for short ones this is cheaper than to iterate. */
function wholeAnswer(
  stream: ClientHttp2Stream,
): Promise<{ status: IncomingHttpHeaders; bytes: Buffer }> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let status: IncomingHttpHeaders = {};
    const onHeaders = (headers: IncomingHttpHeaders) => {
      status = headers;
    };
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('response', onHeaders).once('trailers', onHeaders).once('error', reject);
    stream.once('close', () => resolve({ status, bytes: Buffer.concat(chunks) }));
  });
}

function* unframed(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at + prefixBytes <= bytes.length; ) {
    const end = at + prefixBytes + bytes.readUInt32BE(at + 1);
    yield bytes.subarray(at + prefixBytes, end);
    at = end;
  }
}

/** The headers that hold gRPC's status: the trailers, or the only ones. Undefined status: it broke off before. */
function statusOf(stream: ClientHttp2Stream): Promise<IncomingHttpHeaders> {
  return new Promise((resolve) => {
    let only: IncomingHttpHeaders = {};
    stream.once('response', (answer) => {
      only = answer;
    });
    stream.once('trailers', resolve);
    stream.once('close', () => resolve(only));
  });
}

/** An error of ours stays; what the connection threw becomes core.unreachable with its code in the cause. */
function asUnreachable(cause: unknown, attempted: string): Error {
  const known = toAppError(cause);
  if (known.code !== 'core.internal') return known;
  const text = cause instanceof Error ? cause.message : String(cause);
  return coreErrors.unreachable(`${attempted}: ${text || 'the connection broke'}`, { cause });
}
