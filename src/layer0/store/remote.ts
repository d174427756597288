// The store of another process, over HTTP: the same interface, one request a call, one connection a watch.

import { Readable } from 'node:stream';
import type { Clock } from '#core/clock';
import { errorFromBody, hasCode } from '#core/errors';
import { createHttpClient, type HttpClient } from '#core/http-client';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import type { ElectOptions, Leadership, ListOptions, Store, WatchOptions } from './client.ts';
import { campaign } from './election.ts';
import type {
  Compare,
  Entry,
  Lease,
  ReplaceLine,
  Replacement,
  Revision,
  Snapshot,
  Txn,
  TxnResult,
  WatchBatch,
  WatchLine,
} from './wire.ts';

/** A whole state is on its way, and is written. */
const replaceTimeoutMs = 600_000;

export interface RemoteStoreOptions {
  /** `unix:/path/to.sock`, `http://host:port` or `https://host:port`. */
  baseUrl: string;
  clock: Clock;
  random: Random;
  log: Log;
  headers?: Record<string, string>;
  /** Longest time for one call other than watch, milliseconds. */
  timeoutMs?: number;
}

export function createRemoteStore(options: RemoteStoreOptions): Store {
  const { baseUrl, headers, timeoutMs } = options;
  const http = createHttpClient({
    baseUrl,
    ...(headers ? { headers } : {}),
    ...(timeoutMs ? { timeoutMs } : {}),
  });
  return new RemoteStore(() => http, { ...options, onClose: () => http.close() });
}

/** The same over a connection of the caller's, which is asked for before each call: where the store is may change. */
export function createStoreOver(
  connection: () => HttpClient,
  deps: Pick<RemoteStoreOptions, 'clock' | 'random' | 'log'>,
): Store {
  return new RemoteStore(connection, { ...deps, onClose: () => undefined });
}

interface RemoteDeps extends Pick<RemoteStoreOptions, 'clock' | 'random' | 'log'> {
  onClose(): void;
}

class RemoteStore implements Store {
  readonly #connection: () => HttpClient;
  readonly #deps: RemoteDeps;
  readonly #closing = new AbortController();

  constructor(connection: () => HttpClient, deps: RemoteDeps) {
    this.#connection = connection;
    this.#deps = deps;
  }

  async get<T>(key: string): Promise<Entry<T> | undefined> {
    const answer = await this.#connection().json<{ entry?: Entry<T> }>('GET', '/store/entry', {
      query: { key },
    });
    return answer.entry;
  }

  list<T>(prefix: string, options: ListOptions = {}): Promise<Snapshot<T>> {
    const { at, after, limit } = options;
    const query = { prefix, after, limit, ...at };
    return this.#connection().json<Snapshot<T>>('GET', '/store/list', { query });
  }

  txn(txn: Txn): Promise<TxnResult> {
    return this.#connection().json<TxnResult>('POST', '/store/txn', { body: txn });
  }

  async *watch<T>(prefix: string, options: WatchOptions): AsyncGenerator<WatchBatch<T>> {
    const { from } = options;
    const signal = options.signal
      ? AbortSignal.any([options.signal, this.#closing.signal])
      : this.#closing.signal;
    if (signal.aborted) return;
    const query = { prefix, ...from };
    try {
      const lines = this.#connection().ndjson<WatchLine<T>>('GET', '/store/watch', {
        query,
        signal,
      });
      for await (const line of lines) {
        if ('error' in line) throw errorFromBody(line.error, 500, `watch ${prefix}`);
        yield line;
      }
    } catch (error) {
      if (!(signal.aborted && hasCode(error, 'core.aborted'))) throw error;
    }
  }

  grantLease(ttlMs: number): Promise<Lease> {
    return this.#connection().json<Lease>('POST', '/store/leases', { body: { ttlMs } });
  }

  async keepAlive(id: string): Promise<void> {
    await this.#connection().json('POST', `/store/leases/${encodeURIComponent(id)}/keep-alive`);
  }

  async revokeLease(id: string): Promise<void> {
    await this.#connection().json('DELETE', `/store/leases/${encodeURIComponent(id)}`);
  }

  elect(name: string, options: ElectOptions): Promise<Leadership> {
    return campaign({ store: this, ...this.#deps }, name, options);
  }

  replaceAll(entries: readonly Replacement[], compare: readonly Compare[]): Promise<Revision> {
    return this.#connection().json<Revision>('POST', '/store/replace', {
      bodyStream: Readable.from(linesOf(entries, compare), { objectMode: false }),
      headers: { 'content-type': 'application/x-ndjson' },
      timeoutMs: replaceTimeoutMs,
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#deps.onClose();
  }
}

/** The count comes last: what broke off on its way is not taken for a whole state. */
function* linesOf(entries: readonly Replacement[], compare: readonly Compare[]): Generator<string> {
  const line = (value: ReplaceLine) => `${JSON.stringify(value)}\n`;
  yield line({ compare: [...compare] });
  for (const entry of entries) yield line(entry);
  yield line({ count: entries.length });
}
