// What gantry-dns serves, out of what is registered and which networks there are.

import type { DnsListener, DnsTable, Instance } from '../wire.ts';
import { leaderOf } from './leader.ts';

export interface DnsTableInput {
  domain: string;
  services: ReadonlyMap<string, readonly Instance[]>;
  listeners: readonly DnsListener[];
  routerSuffixes: readonly string[];
  upstreams: readonly string[];
}

/** Only instances that are up and can be reached from a container have a name. Sorted, so that equal is equal as text. */
export function dnsTable(input: DnsTableInput): DnsTable {
  const services: DnsTable['services'] = {};
  for (const [service, instances] of [...input.services].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const leader = leaderOf(instances);
    const listed = instances
      .filter((instance) => instance.state === 'up' && isReachable(instance.address))
      .map((instance) => ({
        address: instance.address,
        port: instance.port,
        id: instance.id.toLowerCase(),
        ...(instance === leader ? { isLeader: true as const } : {}),
      }));
    if (listed.length > 0) services[service.toLowerCase()] = listed;
  }
  return {
    domain: input.domain,
    listeners: input.listeners.toSorted((a, b) => (a.address < b.address ? -1 : 1)),
    services,
    routerSuffixes: [...input.routerSuffixes],
    upstreams: [...input.upstreams],
  };
}

/** Processes on the host's own network answer on loopback, which is another machine inside a container. */
function isReachable(address: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+$/.test(address) && !address.startsWith('127.');
}

/** Addresses of `nameserver` lines; without any, there is nobody to ask. */
export function parseResolvConf(text: string): string[] {
  const servers: string[] = [];
  for (const line of text.split('\n')) {
    const [word, address] = line.trim().split(/\s+/);
    if (word === 'nameserver' && address && !address.includes('%')) servers.push(address);
  }
  return [...new Set(servers)];
}
