// A client that speaks HTTP/2 over TLS on one connection, as browsers do. When the server says that it takes no more requests
// on it, the next one gets a new connection; a request that has begun must end well.

import { type ClientHttp2Session, connect } from 'node:http2';
import type { Answer, LoadOptions } from './client.ts';
import { cutOff, Failure, failureOf, judge } from './failure.ts';

export class Http2Client {
  readonly #options: LoadOptions;
  #session: ClientHttp2Session | undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  ask(): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const { method = 'GET', path = '/', body, timeoutMs = 10_000, host } = this.#options;
    const stream = this.#open().request({
      ':method': method,
      ':path': path,
      ':authority': host,
    });
    const limit = setTimeout(() => {
      reject(new Failure('timeout', `no complete answer within ${timeoutMs} ms`));
      stream.close();
    }, timeoutMs);
    const answer: Answer = { status: 0, headers: {}, body: '' };
    let hasEnded = false;
    stream.on('response', (headers) => {
      answer.status = Number(headers[':status']);
      answer.headers = headers as Answer['headers'];
    });
    stream.setEncoding('utf8').on('data', (text: string) => {
      answer.body += text;
    });
    stream.on('end', () => {
      hasEnded = true;
    });
    stream.on('error', (error) => reject(failureOf(error)));
    stream.on('close', () => {
      if (answer.status === 0 || !hasEnded || stream.rstCode !== 0) return reject(cutOff(answer));
      const problem = judge(this.#options, answer);
      if (problem) reject(problem);
      else resolve(answer);
    });
    stream.end(body);
    return promise.finally(() => clearTimeout(limit));
  }

  close(): void {
    this.#session?.destroy();
  }

  #open(): ClientHttp2Session {
    const known = this.#session;
    if (known && !known.closed && !known.destroyed) return known;
    const { address, port, host } = this.#options;
    const session = connect(`https://${address}:${port}`, {
      servername: host,
      rejectUnauthorized: false,
    });
    // What it broke is counted by the request that was on it.
    session.on('error', () => session.destroy());
    session.on('goaway', () => session.close());
    this.#session = session;
    return session;
  }
}
