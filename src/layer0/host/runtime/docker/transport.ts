// Bytes to and from the engine's socket: negotiated version, kept-alive connections, a time limit on every call.
// A dead engine is engine.unavailable and nothing else; the next call finds it again, also after an upgrade.

import type { ClientRequest, IncomingMessage } from 'node:http';
import { type Duplex, pipeline, type Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Clock } from '#core/clock';
import { AppError, coreErrors } from '#core/errors';
import { Agent, request as httpRequest } from '#core/node-http';
import { engineErrors } from '../errors.ts';
import { type ApiVersion, formatApiVersion, negotiate } from './api-version.ts';

export interface EngineCall {
  method: 'GET' | 'POST' | 'DELETE';
  /** Without the version prefix. */
  path: string;
  /** What it is for, as in "could not <attempt>". */
  attempt: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  headers?: Record<string, string>;
  /** A tar to send instead of a JSON body. */
  tar?: Readable;
  timeoutMs?: number;
  signal?: AbortSignal;
}

export interface EngineTransport {
  apiVersion(): Promise<ApiVersion>;
  /** The parsed answer; undefined when it is empty (also 304: already so). */
  json<T>(call: EngineCall): Promise<T>;
  /** A streamed answer on a connection of its own. The time limit covers the head; the caller reads or destroys it. */
  open(call: EngineCall): Promise<IncomingMessage>;
  /** The raw connection after `101 Switching Protocols`. Ending it is half a close: reading goes on. */
  hijack(call: EngineCall): Promise<Duplex>;
  close(): void;
}

/** Enough for a create or start on an engine that is busy with fifty others. */
const defaultTimeoutMs = 60_000;
/** Connections of short calls at once; more wait in the agent. */
const maxConnections = 32;
const staleSocketCodes = new Set(['ECONNRESET', 'EPIPE']);
const downCodes = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE', 'EACCES', 'ENOTSOCK']);

export function createTransport(options: { socketPath: string; clock: Clock }): EngineTransport {
  const { socketPath, clock } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: maxConnections });
  let negotiated: Promise<ApiVersion> | undefined;

  function forget(): void {
    negotiated = undefined;
  }

  async function fetchVersion(): Promise<ApiVersion> {
    const call: EngineCall = { method: 'GET', path: '/version', attempt: 'ask for its version' };
    const version = await readJson<{ ApiVersion: string; MinAPIVersion?: string }>(call, '');
    return negotiate({ newest: version.ApiVersion, oldest: version.MinAPIVersion ?? '' });
  }

  function apiVersion(): Promise<ApiVersion> {
    negotiated ??= fetchVersion().catch((error: unknown) => {
      forget();
      throw error;
    });
    return negotiated;
  }

  /** Sends one request; resolves with the head of the answer, whatever its status. */
  function send(call: EngineCall, prefix: string, mode: SendMode): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { headers, payload } = requestBody(call, mode);
      const request = httpRequest({
        socketPath,
        method: call.method,
        path: prefix + pathOf(call),
        headers,
        agent: mode.kind === 'shared' ? agent : false,
      });
      const limit = callLimits(call, clock, request);
      request.once('response', (response) => {
        limit.clear();
        resolve(response);
      });
      if (mode.kind === 'hijack')
        request.once('upgrade', (_response, socket, head) => {
          limit.clear();
          if (head.length > 0) socket.unshift(head);
          mode.onSocket(socket);
        });
      request.once('error', (error: NodeJS.ErrnoException) => {
        limit.clear();
        const isStale = request.reusedSocket && staleSocketCodes.has(error.code ?? '');
        if (isStale && !call.tar) return resolve(send(call, prefix, { kind: 'own' }));
        const known = connectionError(call, error, socketPath);
        if (known.code === 'engine.unavailable') forget();
        reject(known);
      });
      if (call.tar) sendTar(call.tar, request);
      else request.end(payload);
    });
  }

  async function readJson<T>(call: EngineCall, prefix: string): Promise<T> {
    const response = await send(call, prefix, { kind: 'shared' });
    const limit = callLimits(call, clock, response);
    try {
      const body = await text(response);
      const status = response.statusCode ?? 0;
      if (status >= 400 || status < 200) throw refusal(call, status, body);
      return (body && status !== 304 ? JSON.parse(body) : undefined) as T;
    } catch (error) {
      throw error instanceof AppError ? error : connectionError(call, error, socketPath);
    } finally {
      limit.clear();
    }
  }

  const prefix = async () => `/v${formatApiVersion(await apiVersion())}`;

  return {
    apiVersion,
    json: async <T>(call: EngineCall) => readJson<T>(call, await prefix()),
    async open(call) {
      const response = await send(call, await prefix(), { kind: 'own' });
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return response;
      throw refusal(call, status, await text(response));
    },
    async hijack(call) {
      const path = await prefix();
      return new Promise((resolve, reject) => {
        send(call, path, { kind: 'hijack', onSocket: resolve })
          .then(async (response) => {
            reject(refusal(call, response.statusCode ?? 0, await text(response)));
          })
          .catch(reject);
      });
    },
    close: () => agent.destroy(),
  };
}

type SendMode =
  | { kind: 'shared' }
  | { kind: 'own' }
  | { kind: 'hijack'; onSocket: (socket: Duplex) => void };

function pathOf({ path, query = {} }: EngineCall): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) parameters.set(name, String(value));
  return parameters.size > 0 ? `${path}?${parameters}` : path;
}

function requestBody(call: EngineCall, mode: SendMode) {
  const headers: Record<string, string | number> = { host: 'docker', ...call.headers };
  if (mode.kind === 'hijack') Object.assign(headers, { connection: 'Upgrade', upgrade: 'tcp' });
  if (call.tar) {
    headers['content-type'] = 'application/x-tar';
    return { headers, payload: undefined };
  }
  const hasBody = call.body !== undefined;
  const payload = hasBody ? Buffer.from(JSON.stringify(call.body)) : undefined;
  if (payload) headers['content-type'] = 'application/json';
  if (call.method === 'POST') headers['content-length'] = payload?.length ?? 0;
  return { headers, payload };
}

/** An answer before the tar is read through (a refusal) is the answer; a tar that breaks off cuts the request. */
function sendTar(tar: Readable, request: ClientRequest): void {
  pipeline(tar, request, (error) => {
    if (error && !request.destroyed) request.destroy(error);
  });
}

/** Destroys the call when its time is over or its signal fires, with an error that says which. */
function callLimits(call: EngineCall, clock: Clock, target: { destroy(error: Error): unknown }) {
  const timeoutMs = call.timeoutMs ?? defaultTimeoutMs;
  const timer = clock.timer(timeoutMs, () =>
    target.destroy(
      engineErrors.timeout(
        `could not ${call.attempt}: the container engine did not answer within ${timeoutMs} ms`,
      ),
    ),
  );
  const onAbort = () => target.destroy(coreErrors.aborted(`${call.attempt}: cancelled`));
  if (call.signal?.aborted) onAbort();
  else call.signal?.addEventListener('abort', onAbort, { once: true });
  return {
    clear() {
      timer.cancel();
      call.signal?.removeEventListener('abort', onAbort);
    },
  };
}

function connectionError(call: EngineCall, error: unknown, socketPath: string): AppError {
  if (error instanceof AppError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const isDown = downCodes.has(code ?? '') || message === 'aborted';
  const text = `could not ${call.attempt}: `;
  return isDown
    ? engineErrors.unavailable(
        `${text}the container engine does not answer on ${socketPath} (${code ?? message})`,
        { cause: error },
      )
    : engineErrors.failed(`${text}${message}`, { cause: error });
}

function refusal(call: EngineCall, status: number, body: string): AppError {
  const message = `could not ${call.attempt}: ${engineMessage(body) || `status ${status}`}`;
  const options = { detail: { status } };
  if (status === 404) return engineErrors.notFound(message, options);
  if (status === 409) return engineErrors.conflict(message, options);
  if (status >= 500) return engineErrors.failed(message, options);
  return engineErrors.refused(message, options);
}

/** The engine's own sentence, whether it came as `{"message": ...}` or as text; at most 2,000 characters. */
function engineMessage(body: string): string {
  try {
    const { message } = JSON.parse(body) as { message?: string };
    return (message ?? body).slice(0, 2000);
  } catch {
    return body.slice(0, 2000).trim();
  }
}
