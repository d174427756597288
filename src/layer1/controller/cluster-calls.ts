// Calls about the cluster as a whole: part of the controller's door (`client.ts`).

import type { Readable } from 'node:stream';
import type { HttpClient } from '#core/http-client';
import type { RestoreResult } from './backup-api.ts';
import type { ClusterView } from './cluster-api.ts';

/** Machines and copies of the store that say nothing are waited for. */
export const viewTimeoutMs = 30_000;
/** A backup begins when the store has been read once, a restore ends when the store has been written. */
const backupTimeoutMs = 60_000;
const restoreTimeoutMs = 900_000;

export class ClusterCalls {
  readonly #http: HttpClient;

  constructor(http: HttpClient) {
    this.#http = http;
  }

  /** The whole cluster on one screen; answers within seconds also while the store or machines are away. */
  readCluster(): Promise<ClusterView> {
    return this.#http.json('GET', '/cluster', { timeoutMs: viewTimeoutMs });
  }

  /** The bytes of a file that `restore` takes. One that ends without its checksum broke off. */
  backUp(): Promise<Readable> {
    return this.#http.raw('GET', '/cluster/backup', { timeoutMs: backupTimeoutMs });
  }

  /** In one step, or not at all. `takeover`: on a fresh machine, in the place of a cluster that is lost. */
  restore(file: Readable, mode: 'replace' | 'takeover' = 'replace'): Promise<RestoreResult> {
    const headers = { 'content-type': 'application/x-ndjson' };
    const options = { query: { mode }, bodyStream: file, headers, timeoutMs: restoreTimeoutMs };
    return this.#http.json('POST', '/cluster/restore', options);
  }
}
