// Does anything belong to two? It never should: what is found is for an operator to read, each as a sentence that names both.

import type { Address, AppNetwork } from '../wire.ts';
import { overlaps, parseCidr } from './cidr.ts';

export interface Holdings {
  networks: readonly AppNetwork[];
  addresses: readonly Address[];
  /** What each job was told that it holds, by job. */
  jobs: ReadonlyMap<string, { app: string; ip: string }>;
  /** Jobs that run, with the address that their machine sees. */
  running: readonly { job: string; app: string; address: string }[];
}

export function findDoubles({ networks, addresses, jobs, running }: Holdings): string[] {
  const found: string[] = [];
  networks.forEach((one, at) => {
    for (const other of networks.slice(at + 1)) {
      const both = `apps ${one.appName} and ${other.appName}`;
      if (overlaps(parseCidr(one.subnet), parseCidr(other.subnet)))
        found.push(`${both} have subnets that overlap: ${one.subnet} and ${other.subnet}`);
      if (one.vni === other.vni) found.push(`${both} have the tunnel number ${one.vni}`);
    }
  });
  const holders = new Map(addresses.map((address) => [`${address.app} ${address.ip}`, address]));
  for (const [job, { app, ip }] of jobs) {
    const holder = holders.get(`${app} ${ip}`);
    if (holder?.job !== job || holder.freedAt !== undefined)
      found.push(`job ${job} holds ${ip}, which ${heldBy(holder)}`);
  }
  const seen = new Map<string, string>();
  for (const { job, app, address } of running) {
    const key = `${app} ${address}`;
    const other = seen.get(key);
    if (other !== undefined) found.push(`jobs ${other} and ${job} both run at ${address}`);
    seen.set(key, job);
  }
  return found;
}

function heldBy(holder: Address | undefined): string {
  if (!holder || holder.freedAt !== undefined) return 'is recorded as free';
  return `is recorded as ${holder.job}'s`;
}
