// A load client that forgives nothing: no retry, and every reset, refusal, time-out, cut body, wrong status and wrong
// body is a failure that is counted. What "0 failed requests" means in tests and benchmarks is what this file counts.

import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { WebSocket } from 'ws';
import { cutOff, Failure, type FailureKind, failureOf, judge } from './failure.ts';
import { Http2Client } from './http2.ts';
import { talkTcp } from './tcp.ts';

/** `tcp` is a bare connection to an app like tcp-app.js; `http2` one connection a client, over TLS. */
export type LoadMode = 'keep-alive' | 'close' | 'websocket' | 'slow' | 'http2' | 'tcp';

export interface LoadOptions {
  /** Where to connect. The name is not resolved: `address` is dialled, `host` is said. */
  address: string;
  port: number;
  host: string;
  mode: LoadMode;
  /** Clients that each send one request after the other. */
  clients: number;
  path?: string;
  method?: string;
  /** Sent with every request. */
  body?: string;
  isTls?: boolean;
  /** Rest of a client between two requests, milliseconds. */
  pauseMs?: number;
  /** A request that takes longer has failed. */
  timeoutMs?: number;
  /** For websocket and tcp: messages that a connection echoes before it is closed. */
  messages?: number;
  /** For slow: asked for as `?ms=`. */
  slowMs?: number;
  /** A sentence when the answer is not the right one. */
  verify?(answer: Answer): string | undefined;
  /** Told of each failure with when its request began, by `performance.now()`. */
  onFailure?(beganMs: number, message: string): void;
}

export interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

export interface Mark {
  label: string;
  /** Requests that had begun and not ended at this moment. */
  inFlight: number;
  /** Requests that had ended before it. */
  ended: number;
}

export interface LoadReport {
  mode: LoadMode;
  requests: number;
  failed: number;
  failures: Record<FailureKind, number>;
  /** The first failures in words. */
  examples: string[];
  /** Requests by what the answer's `x-instance` said. */
  byInstance: Record<string, number>;
  marks: Mark[];
  /** Milliseconds. */
  p50: number;
  p99: number;
  max: number;
}

export interface Load {
  /** Requests ended so far, failed ones included. */
  readonly requests: number;
  readonly failed: number;
  /** Remembers how many requests were in flight now: the proof that a switch was overlapped. */
  mark(label: string): Mark;
  /** Lets every request that has begun end, then reports. */
  stop(): Promise<LoadReport>;
}

const maxExamples = 10;

export function startLoad(options: LoadOptions): Load {
  return new RunningLoad(options);
}

class RunningLoad implements Load {
  requests = 0;
  failed = 0;
  readonly #options: LoadOptions;
  readonly #failures: Record<FailureKind, number> = {
    refused: 0,
    reset: 0,
    timeout: 0,
    truncated: 0,
    status: 0,
    body: 0,
  };
  readonly #examples: string[] = [];
  readonly #byInstance: Record<string, number> = {};
  readonly #marks: Mark[] = [];
  readonly #latencies: number[] = [];
  readonly #clients: Promise<void>[];
  #inFlight = 0;
  #isStopping = false;
  #wake = Promise.withResolvers<void>();

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#clients = Array.from({ length: options.clients }, () => this.#client());
  }

  mark(label: string): Mark {
    const mark = { label, inFlight: this.#inFlight, ended: this.requests };
    this.#marks.push(mark);
    return mark;
  }

  async stop(): Promise<LoadReport> {
    this.#isStopping = true;
    this.#wake.resolve();
    await Promise.all(this.#clients);
    const sorted = Float64Array.from(this.#latencies).sort();
    const quantile = (part: number) =>
      Math.round(
        (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0) * 100,
      ) / 100;
    return {
      mode: this.#options.mode,
      requests: this.requests,
      failed: this.failed,
      failures: this.#failures,
      examples: this.#examples,
      byInstance: this.#byInstance,
      marks: this.#marks,
      p50: quantile(0.5),
      p99: quantile(0.99),
      max: quantile(1),
    };
  }

  async #client(): Promise<void> {
    const { pauseMs = 0 } = this.#options;
    const client = clientFor(this.#options);
    while (!this.#isStopping) {
      await this.#count(client);
      if (pauseMs > 0 && !this.#isStopping) await this.#rest(pauseMs);
    }
    client.close();
  }

  #rest(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    return Promise.race([promise, this.#wake.promise]).finally(() => clearTimeout(timer));
  }

  async #count(client: LoadClient): Promise<void> {
    const startMs = performance.now();
    this.#inFlight++;
    try {
      const answer = await client.ask();
      const instance = String(answer.headers['x-instance'] ?? '?');
      this.#byInstance[instance] = (this.#byInstance[instance] ?? 0) + 1;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.failed++;
      this.#failures[error.kind]++;
      this.#options.onFailure?.(startMs, `${error.kind}: ${error.message}`);
      if (this.#examples.length < maxExamples)
        this.#examples.push(`${error.kind}: ${error.message}`);
    } finally {
      this.#inFlight--;
      this.requests++;
      this.#latencies.push(performance.now() - startMs);
    }
  }
}

/** One client: what it keeps between two requests is its own. */
interface LoadClient {
  ask(): Promise<Answer>;
  close(): void;
}

function clientFor(options: LoadOptions): LoadClient {
  const nothing = () => undefined;
  switch (options.mode) {
    case 'websocket':
      return { ask: () => echo(options), close: nothing };
    case 'tcp':
      return { ask: () => talkTcp(options), close: nothing };
    case 'http2':
      return new Http2Client(options);
    default: {
      const kept = { keepAlive: true, maxSockets: 1 };
      const agent = options.isTls ? new HttpsAgent(kept) : new Agent(kept);
      return { ask: () => exchange(options, agent), close: () => agent.destroy() };
    }
  }
}

function exchange(options: LoadOptions, agent: Agent): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const { address, port, host, mode, method = 'GET', body, timeoutMs = 10_000 } = options;
  const isKept = mode !== 'close';
  const slow = mode === 'slow' ? `?ms=${options.slowMs ?? 3_000}` : '';
  const send = options.isTls ? httpsRequest : httpRequest;
  const request = send({
    host: address,
    port,
    method,
    path: (options.path ?? '/') + slow,
    agent: isKept ? agent : false,
    headers: { host, ...(isKept ? {} : { connection: 'close' }) },
    ...(options.isTls ? { servername: host, rejectUnauthorized: false } : {}),
  });
  const limit = setTimeout(() => {
    reject(new Failure('timeout', `no complete answer within ${timeoutMs} ms`));
    request.destroy();
  }, timeoutMs);
  request.on('error', (error) => reject(failureOf(error)));
  request.on('response', (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', (error) => reject(new Failure('truncated', error.message)));
    response.on('end', () => {
      const answer = {
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: Buffer.concat(chunks).toString(),
      };
      const problem = response.complete ? judge(options, answer) : cutOff(answer);
      if (problem) reject(problem);
      else resolve(answer);
    });
  });
  request.end(body);
  return promise.finally(() => clearTimeout(limit));
}

/** One connection: every message must come back, and only this side may end it. */
function echo(options: LoadOptions): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const { address, port, host, path = '/', messages = 5, timeoutMs = 10_000 } = options;
  const scheme = options.isTls ? 'wss' : 'ws';
  const socket = new WebSocket(`${scheme}://${address}:${port}${path}`, {
    headers: { host },
    ...(options.isTls ? { servername: host, rejectUnauthorized: false } : {}),
    perMessageDeflate: false,
  });
  let headers: IncomingMessage['headers'] = {};
  let echoed = 0;
  const limit = setTimeout(() => {
    reject(new Failure('timeout', `${echoed} of ${messages} echoes within ${timeoutMs} ms`));
    socket.terminate();
  }, timeoutMs);
  socket.on('upgrade', (response) => {
    headers = response.headers;
  });
  socket.on('open', () => socket.send('message 0'));
  socket.on('message', (data) => {
    if (String(data) !== `message ${echoed}`)
      return reject(new Failure('body', `echo ${echoed} was ${String(data).slice(0, 60)}`));
    echoed++;
    if (echoed === messages) return socket.close(1000);
    const next = () => socket.send(`message ${echoed}`);
    if (options.pauseMs) setTimeout(next, options.pauseMs);
    else next();
  });
  socket.on('unexpected-response', (_request, response) => {
    reject(new Failure('status', `upgrade answered ${response.statusCode}`));
    socket.terminate();
  });
  socket.on('error', (error) => reject(failureOf(error)));
  socket.on('close', (code) => {
    if (echoed === messages && code === 1000) resolve({ status: 101, headers, body: '' });
    else reject(new Failure('reset', `closed with ${code} after ${echoed} of ${messages} echoes`));
  });
  return promise.finally(() => clearTimeout(limit));
}
