// The door of logs for the controller.

import { createHttpClient } from '#core/http-client';
import type { LogLine, LogQuery } from './wire.ts';

export type { LogLine, LogQuery } from './wire.ts';

export interface LogsClient {
  /** Lines as they come; ends after the last one, or with `follow` when the signal fires. */
  read(query: LogQuery, signal: AbortSignal): AsyncGenerator<LogLine>;
  close(): void;
}

export interface LogsClientOptions {
  baseUrl: string;
  key: string;
}

export function createLogsClient({ baseUrl, key }: LogsClientOptions): LogsClient {
  const http = createHttpClient({ baseUrl, headers: { authorization: `Bearer ${key}` } });
  return {
    read: (query, signal) => http.ndjson<LogLine>('GET', '/logs', { query: { ...query }, signal }),
    close: () => http.close(),
  };
}
