// The table on disk: read when it changes, and what was last readable kept when it is not.

import { readFileSync, statSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Clock, Timer } from '#core/clock';
import type { DnsTable } from '#layer0/discovery/wire';
import { dnsErrors } from './errors.ts';
import { addressNumber } from './packet.ts';

/** Should the folder's watch ever be deaf, a change is seen this late. */
export const statIntervalMs = 1_000;

export interface TableFileDeps {
  clock: Clock;
  onTable(table: DnsTable): void;
  onProblem(error: unknown): void;
}

export class TableFile {
  readonly #path: string;
  readonly #deps: TableFileDeps;
  #watcher: ReturnType<typeof watch> | undefined;
  #timer: Timer | undefined;
  #seen = '';
  #problem = '';

  constructor(path: string, deps: TableFileDeps) {
    this.#path = path;
    this.#deps = deps;
  }

  start(): void {
    this.#look();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #look(): void {
    this.#timer?.cancel();
    this.#watchFolder();
    this.#readIfChanged();
    this.#timer = this.#deps.clock.timer(statIntervalMs, () => this.#look());
  }

  /** The folder and not the file: the file is replaced by rename each time. */
  #watchFolder(): void {
    if (this.#watcher) return;
    const name = basename(this.#path);
    try {
      const watcher = watch(dirname(this.#path), (_event, changed) => {
        if (changed === null || changed === name) this.#readIfChanged();
      });
      watcher.on('error', () => {
        watcher.close();
        this.#watcher = undefined;
      });
      this.#watcher = watcher;
    } catch (error) {
      this.#report(error);
    }
  }

  #readIfChanged(): void {
    try {
      const { ino, mtimeNs, size } = statSync(this.#path, { bigint: true });
      const seen = `${ino} ${mtimeNs} ${size}`;
      if (seen === this.#seen) return;
      this.#seen = seen;
      this.#deps.onTable(parseTable(readFileSync(this.#path, 'utf8')));
      this.#problem = '';
    } catch (error) {
      this.#report(error);
    }
  }

  /** A problem that stays is told once. On a new machine the daemon has yet to write the first table: no problem. */
  #report(error: unknown): void {
    if (this.#seen === '' && (error as NodeJS.ErrnoException).code === 'ENOENT') return;
    const text = String(error);
    if (text !== this.#problem) this.#deps.onProblem(error);
    this.#problem = text;
  }
}

/** Checked by hand: a schema library would double this process's memory for one small file that we write ourselves. */
export function parseTable(text: string): DnsTable {
  const table = JSON.parse(text) as DnsTable;
  const isAddress = (value: unknown) =>
    typeof value === 'string' && !Number.isNaN(addressNumber(value));
  const isOk =
    typeof table.domain === 'string' &&
    table.listeners.every(
      ({ address, subnet, app }) =>
        isAddress(address) && /^[\d.]{7,15}\/\d{1,2}$/.test(subnet) && typeof app === 'string',
    ) &&
    Object.values(table.services).every((instances) =>
      instances.every(({ address, port, id }) => {
        return isAddress(address) && port >= 0 && port < 65_536 && typeof id === 'string';
      }),
    ) &&
    [...table.routerSuffixes, ...table.upstreams].every((entry) => typeof entry === 'string');
  if (!isOk) throw dnsErrors.badTable('the table of names is malformed: it is not used');
  return table;
}
