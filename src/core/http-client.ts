// Calls other components over HTTP: JSON, NDJSON streams and upgrades, on TCP or a unix socket.
// Every call has a time limit; a stream has a limit on silence. Errors keep the code the other side gave.

import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { coreErrors, errorFromBody, toAppError } from './errors.ts';
import { Agent, request as httpRequest } from './node-http.ts';
import { fromNdjson, streamSilenceMs } from './stream.ts';

export interface HttpClientOptions {
  /** `unix:/path/to.sock`, `http://host:port` or `https://host:port`. */
  baseUrl: string;
  headers?: Record<string, string>;
  /** PEM of the authority to trust, where it is not one of the system's. */
  ca?: string;
  /** PEM of the certificate and key to show, where the server asks who calls. */
  cert?: string;
  key?: string;
  /** False: the server's certificate need not name the host of baseUrl; being of the authority is enough. */
  checksName?: boolean;
  /** Dial this address instead of resolving the name in baseUrl. */
  dialAddress?: string;
  /** Longest time for a whole JSON call, milliseconds; 10 s unless said. */
  timeoutMs?: number;
}

export interface CallOptions {
  query?: Record<string, string | number | boolean | undefined>;
  headers?: Record<string, string>;
  /** A value to send as JSON. */
  body?: unknown;
  /** Raw bytes to send instead; set content-type in headers. */
  bodyStream?: Readable;
  signal?: AbortSignal | undefined;
  timeoutMs?: number;
}

export interface HttpClient {
  /** The parsed JSON answer (undefined for an empty one). Non-2xx throws the server's error. */
  json<T>(method: string, path: string, options?: CallOptions): Promise<T>;
  /** The raw answer, status 2xx; the time limit covers only the head. The caller consumes or destroys it. */
  raw(method: string, path: string, options?: CallOptions): Promise<IncomingMessage>;
  /** Values as they arrive; silence longer than a heartbeat allows ends it with core.timeout. */
  ndjson<T>(method: string, path: string, options?: CallOptions): AsyncGenerator<T>;
  /** A socket after `101 Switching Protocols`; POST unless said. */
  upgrade(path: string, options?: UpgradeOptions): Promise<{ socket: Duplex; head: Buffer }>;
  close(): void;
}

export type UpgradeOptions = CallOptions & { method?: string; protocol?: string };

const defaultTimeoutMs = 10_000;

export function createHttpClient(options: HttpClientOptions): HttpClient {
  return new NodeHttpClient(options);
}

class NodeHttpClient implements HttpClient {
  readonly #options: HttpClientOptions;
  readonly #base: URL;
  readonly #agent: InstanceType<typeof Agent>;
  readonly #request: typeof httpRequest;

  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.#base = new URL(
      options.baseUrl.startsWith('unix:') ? 'http://localhost' : options.baseUrl,
    );
    const isTls = this.#base.protocol === 'https:';
    this.#agent = isTls
      ? new HttpsAgent({ keepAlive: true, ...tlsOptions(options) })
      : new Agent({ keepAlive: true });
    this.#request = isTls ? httpsRequest : httpRequest;
  }

  async raw(method: string, path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    const response = await this.#send(method, path, options);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    throw errorFromBody(parseOrText(await text(response)), status, `${method} ${path}`);
  }

  async json<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const timeoutMs = this.#timeoutMs(options);
    const response = await this.raw(method, path, options);
    // Made only when it is late: an error takes its stack along, which costs a tenth of a whole call.
    const late = () =>
      coreErrors.timeout(`${method} ${path}: the answer stopped within ${timeoutMs} ms`);
    const timer = setTimeout(() => response.destroy(late()), timeoutMs);
    try {
      const body = await text(response);
      return (body ? JSON.parse(body) : undefined) as T;
    } catch (cause) {
      throw asBroken(cause, `${method} ${path}: the answer was cut off or is not JSON`);
    } finally {
      clearTimeout(timer);
    }
  }

  async *ndjson<T>(method: string, path: string, options: CallOptions = {}): AsyncGenerator<T> {
    const response = await this.raw(method, path, options);
    const silent = coreErrors.timeout(`${method} ${path}: silent for ${streamSilenceMs} ms`);
    response.setTimeout(streamSilenceMs, () => response.destroy(silent));
    try {
      yield* fromNdjson<T>(response);
    } catch (cause) {
      if (options.signal?.aborted)
        throw coreErrors.aborted(`${method} ${path} was cancelled`, { cause });
      throw asBroken(cause, `${method} ${path}: the stream broke off`);
    } finally {
      response.destroy();
    }
  }

  upgrade(path: string, options: UpgradeOptions = {}): Promise<{ socket: Duplex; head: Buffer }> {
    return new Promise((resolve, reject) => {
      const headers = {
        connection: 'Upgrade',
        upgrade: options.protocol ?? 'tcp',
        ...options.headers,
      };
      const onRequest = (request: ClientRequest) =>
        request.once('upgrade', (_answer, socket, head) => resolve({ socket, head }));
      this.#send(options.method ?? 'POST', path, { ...options, headers }, onRequest)
        .then(async (answer) => {
          const body = parseOrText(await text(answer));
          reject(errorFromBody(body, answer.statusCode ?? 0, `upgrade ${path}`));
        })
        .catch(reject);
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Those that wait for a call may have died unheard with the one that failed: of a machine that lost its power, all have. */
  #dropIdle(): void {
    for (const sockets of Object.values(this.#agent.freeSockets))
      for (const socket of sockets ?? []) socket.destroy();
  }

  #timeoutMs(options: CallOptions): number {
    return options.timeoutMs ?? this.#options.timeoutMs ?? defaultTimeoutMs;
  }

  #target(method: string, path: string, options: CallOptions, payload?: Buffer): RequestOptions {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) query.set(name, String(value));
    }
    const headers: Record<string, string | number> = {
      ...this.#options.headers,
      ...options.headers,
    };
    if (payload)
      Object.assign(headers, {
        'content-type': 'application/json',
        'content-length': payload.length,
      });
    const target = {
      method,
      agent: this.#agent,
      path: path + (query.size ? `?${query}` : ''),
      headers,
    };
    const { baseUrl, dialAddress } = this.#options;
    if (baseUrl.startsWith('unix:'))
      return { ...target, socketPath: baseUrl.slice('unix:'.length) };
    headers.host ??= this.#base.host;
    const host = this.#base.hostname.replace(/^\[|\]$/g, '');
    const isTls = this.#base.protocol === 'https:';
    const port = this.#base.port || (isTls ? 443 : 80);
    // TLS names servers, not addresses.
    const name = isTls && isIP(host) === 0 ? { servername: host } : {};
    return { ...target, host: dialAddress ?? host, port, ...name };
  }

  #send(
    method: string,
    path: string,
    options: CallOptions,
    onRequest?: (request: ClientRequest) => void,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const payload =
        options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body));
      const request = this.#request(this.#target(method, path, options, payload));
      const timeoutMs = this.#timeoutMs(options);
      const late = () => coreErrors.timeout(`${method} ${path}: no answer within ${timeoutMs} ms`);
      const timer = setTimeout(() => request.destroy(late()), timeoutMs);
      const onAbort = () => request.destroy(coreErrors.aborted(`${method} ${path} was cancelled`));
      const settle = () => {
        clearTimeout(timer);
        options.signal?.removeEventListener('abort', onAbort);
      };
      if (options.signal?.aborted) onAbort();
      options.signal?.addEventListener('abort', onAbort, { once: true });
      request.once('upgrade', settle);
      request.once('response', (response) => {
        clearTimeout(timer);
        response.once('close', settle);
        resolve(response);
      });
      request.once('error', (cause) => {
        settle();
        if (!options.signal?.aborted) this.#dropIdle();
        reject(
          asBroken(
            cause,
            `${method} ${path} at ${this.#options.baseUrl}: ${cause.message || 'connection failed'}`,
          ),
        );
      });
      onRequest?.(request);
      if (!options.bodyStream) return void request.end(payload);
      options.bodyStream.once('error', (cause) => request.destroy(cause));
      options.bodyStream.pipe(request);
    });
  }
}

function tlsOptions({ ca, cert, key, checksName = true }: HttpClientOptions) {
  return {
    ...(ca ? { ca } : {}),
    ...(cert && key ? { cert, key } : {}),
    ...(checksName ? {} : { checkServerIdentity: () => undefined }),
  };
}

/** An error of ours stays; anything the network threw becomes core.unreachable with `message`. */
function asBroken(cause: unknown, message: string): Error {
  const known = toAppError(cause);
  return known.code === 'core.internal' ? coreErrors.unreachable(message, { cause }) : known;
}

function parseOrText(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}
