// What hosts say of machines that do not answer them. One that its watchers say is silent has no power or no cable, although its
// lease has not run out yet.

import { parser } from '#core/schema';
import { watchersOf } from '#layer0/failure-detector/wire';
import { hostSilentPrefix, hostSilentSchema } from '#layer0/host/wire';
import type { Compare } from '#layer0/store/client';
import type { KnownHost } from './host-index.ts';

/** A host that alone hears nothing of another may be the one that is cut off. */
const leastWatchers = 2;

const readSilent = parser(hostSilentSchema);

interface Report {
  hosts: ReadonlySet<string>;
  modRevision: number;
}

export class Silence {
  /** By who says it. */
  readonly #reports = new Map<string, Report>();
  readonly #silent = new Set<KnownHost>();

  /** A value that is none takes back what it said. */
  put(watcher: string, value: unknown, modRevision: number): void {
    if (readSilent.check(value))
      this.#reports.set(watcher, { hosts: new Set(value.hosts), modRevision });
    else this.#reports.delete(watcher);
  }

  /** Who says something. */
  watchers(): Iterable<string> {
    return this.#reports.keys();
  }

  /** Sets `silentBy` of hosts. Answers those of which it came or went. */
  weigh(hosts: ReadonlyMap<string, KnownHost>): KnownHost[] {
    if (this.#reports.size === 0 && this.#silent.size === 0) return [];
    const verdicts = this.#verdicts(hosts);
    const ended = [...this.#silent].filter(({ id }) => !verdicts.has(id));
    const begun = [...verdicts.keys()].filter((id) => !hosts.get(id)?.silentBy);
    for (const host of ended) host.silentBy = undefined;
    this.#silent.clear();
    for (const [id, reports] of verdicts) {
      const host = hosts.get(id);
      if (!host) continue;
      host.silentBy = reports;
      this.#silent.add(host);
    }
    return [...ended, ...begun.flatMap((id) => hosts.get(id) ?? [])];
  }

  /** Of which hosts all that listen for them and have their lease say so, two at least; with the reports that say it. */
  #verdicts(hosts: ReadonlyMap<string, KnownHost>): Map<string, Compare[]> {
    const members = [...hosts.values()].filter(({ record }) => record);
    const sorted = members.map(({ id }) => id).sort();
    const named = new Set([...this.#reports.values()].flatMap((report) => [...report.hosts]));
    const verdicts = new Map<string, Compare[]>();
    for (const id of named) {
      const watchers = watchersOf(id, sorted).filter((watcher) => hosts.get(watcher)?.hasLease);
      const reports = watchers.flatMap((watcher) => this.#reportOf(watcher, id));
      if (reports.length >= leastWatchers && reports.length === watchers.length)
        verdicts.set(id, reports);
    }
    return verdicts;
  }

  #reportOf(watcher: string, hostId: string): Compare[] {
    const report = this.#reports.get(watcher);
    const key = `${hostSilentPrefix}${watcher}`;
    return report?.hosts.has(hostId) ? [{ key, modRevision: report.modRevision }] : [];
  }
}
