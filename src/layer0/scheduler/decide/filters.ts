// Which hosts can take a job? Each filter tests and explains, so that the reason shown is the reason that decided.

import type { Claimant, HostUsage } from '../host-usage.ts';
import { groupOf, hostPortsOf } from '../state.ts';
import type { PlacementLimits } from './steps.ts';

/** One job's demand, unfolded once and tested against many hosts. */
export interface Demand {
  job: Claimant;
  memoryBytes: number;
  cpuMillis: number;
  pids: number;
  ports: string[];
  tags: [string, string][];
  group: string;
  limits: PlacementLimits;
}

interface Filter {
  fits(demand: Demand, host: HostUsage): boolean;
  /** One clause about the hosts that failed here and nowhere before. */
  explain(demand: Demand, rejected: HostUsage[]): string;
}

export function demandOf(job: Claimant, limits: PlacementLimits): Demand {
  const { memoryBytes, cpuMillis, pids } = job.spec.resources;
  const ports = hostPortsOf(job.spec);
  const tags = Object.entries(job.spec.tags);
  return { job, memoryBytes, cpuMillis, pids, ports, tags, group: groupOf(job), limits };
}

export function freeMemoryBytes(host: HostUsage, limits: PlacementLimits): number {
  const offered = host.record?.memoryBytes ?? 0;
  return (offered * limits.memoryOvercommitPercent) / 100 - host.memoryBytes;
}

export function freeCpuMillis(host: HostUsage, limits: PlacementLimits): number {
  return ((host.record?.cpuMillis ?? 0) * limits.cpuOvercommitPercent) / 100 - host.cpuMillis;
}

const hostIsThere: Filter = {
  fits: (_, host) => host.isAlive && host.record !== undefined,
  explain: (_, rejected) => `${plural(rejected.length)} away (${names(rejected)})`,
};

const tagsMatch: Filter = {
  fits: ({ tags }, host) => tags.every(([name, value]) => host.tags[name] === value),
  explain({ tags }, rejected) {
    const wanted = tags.map(([name, value]) => `${name}=${value}`).join(', ');
    return `no host matches tag ${wanted} (${plural(rejected.length)})`;
  },
};

const isAlone: Filter = {
  fits: ({ job, group }, host) => job.isOnePerHost !== true || !host.groups.has(group),
  explain: ({ job }, rejected) => `one ${job.type} runs there already (${names(rejected)})`,
};

const portsAreFree: Filter = {
  fits: ({ ports }, host) => ports.every((port) => !host.ports.has(port)),
  explain({ ports }, rejected) {
    const taken = ports.filter((port) => rejected.some((host) => host.ports.has(port)));
    return `port ${taken.join(', ')} is taken on ${names(rejected)}`;
  },
};

const memoryFits: Filter = {
  fits: ({ memoryBytes, limits }, host) => freeMemoryBytes(host, limits) >= memoryBytes,
  explain({ memoryBytes, limits }, rejected) {
    const best = largest(rejected, (host) => freeMemoryBytes(host, limits));
    const free = formatBytes(freeMemoryBytes(best, limits));
    const needs = formatBytes(memoryBytes);
    return `not enough memory: needs ${needs}, ${free} free on ${atMost(best, rejected)}`;
  },
};

const cpuFits: Filter = {
  fits: ({ cpuMillis, limits }, host) => freeCpuMillis(host, limits) >= cpuMillis,
  explain({ cpuMillis, limits }, rejected) {
    const best = largest(rejected, (host) => freeCpuMillis(host, limits));
    const free = Math.max(0, Math.floor(freeCpuMillis(best, limits)));
    return `not enough cpu: needs ${cpuMillis}m, ${free}m free on ${atMost(best, rejected)}`;
  },
};

const pidsFit: Filter = {
  fits: ({ pids, limits }, host) => limits.pidsPerHost - host.pids >= pids,
  explain({ pids, limits }, rejected) {
    const best = largest(rejected, (host) => -host.pids);
    const free = Math.max(0, limits.pidsPerHost - best.pids);
    return `not enough process ids: needs ${pids}, ${free} free on ${atMost(best, rejected)}`;
  },
};

/** In this order a host is asked, and the first refusal is the one that is told. */
const filters: Filter[] = [
  hostIsThere,
  tagsMatch,
  isAlone,
  portsAreFree,
  memoryFits,
  cpuFits,
  pidsFit,
];

export function fits(demand: Demand, host: HostUsage): boolean {
  for (const filter of filters) if (!filter.fits(demand, host)) return false;
  return true;
}

/** Why none of these hosts takes the job, one clause for each filter that refused some; what is most telling comes first. */
export function explain(demand: Demand, hosts: Iterable<HostUsage>): string {
  const refused = new Map<Filter, HostUsage[]>();
  for (const host of hosts) {
    const filter = filters.find((one) => !one.fits(demand, host));
    if (!filter) continue;
    const rejected = refused.get(filter);
    if (rejected) rejected.push(host);
    else refused.set(filter, [host]);
  }
  if (refused.size === 0) return 'there is no host yet';
  return [...filters]
    .reverse()
    .flatMap((filter) => {
      const rejected = refused.get(filter);
      return rejected ? [filter.explain(demand, rejected)] : [];
    })
    .join('; ');
}

function largest(hosts: HostUsage[], value: (host: HostUsage) => number): HostUsage {
  return hosts.reduce((best, host) => (value(host) > value(best) ? host : best));
}

function atMost(best: HostUsage, rejected: HostUsage[]): string {
  return rejected.length === 1 ? best.name : `${best.name}, the best of ${rejected.length} hosts`;
}

function names(hosts: HostUsage[]): string {
  const shown = hosts
    .map(({ name }) => name)
    .sort()
    .slice(0, 3);
  const more = hosts.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}

function plural(count: number): string {
  return count === 1 ? '1 host' : `${count} hosts`;
}

/** 1024-based, one decimal where it says something. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toFixed(1))} ${units[unit]}`;
}
