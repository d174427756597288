// The door of logs for the controller.

import { createHttpClient } from '#core/http-client';
import type { LogEntry, LogQuery } from './wire.ts';

export { type LogMachine, readMerged } from './merged.ts';
export type { LogEntry, LogLine, LogQuery } from './wire.ts';

export interface LogsClient {
  /**
   * Lines as they come; ends after the last one, or with `follow` when the signal fires. A stream that breaks goes on by
   * `after`, the cursor of its last entry.
   */
  read(query: LogQuery, signal: AbortSignal): AsyncGenerator<LogEntry>;
  close(): void;
}

export interface LogsClientOptions {
  baseUrl: string;
  key: string;
}

export function createLogsClient({ baseUrl, key }: LogsClientOptions): LogsClient {
  const http = createHttpClient({ baseUrl, headers: { authorization: `Bearer ${key}` } });
  return {
    read: (query, signal) => http.ndjson<LogEntry>('GET', '/logs', { query: { ...query }, signal }),
    close: () => http.close(),
  };
}
