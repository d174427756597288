// What is on the machines of a cluster and in no record of it, and the other way round: containers, addresses, entries of tunnels.
// An empty list is what must be there once everything has settled.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '#core/clock';
import { silentLog } from '#core/log';
import { systemRandom } from '#core/random';
import { type Host, hostPrefix } from '#layer0/host/wire';
import {
  type Address,
  type AppNetwork,
  addressPrefix,
  appNetworkPrefix,
  gatewayHolderPrefix,
} from '#layer0/network/wire';
import { type Job, jobPrefix } from '#layer0/scheduler/wire';
import { createRemoteStore, listAll } from '#layer0/store/client';
import { macOf } from '../../src/layer0/network/decide/cidr.ts';
import { clusterTag } from '../../src/layer0/network/decide/names.ts';
import type { Bed } from './bed.ts';
import type { Machine } from './machine.ts';

interface Records {
  jobs: ReadonlyMap<string, Job>;
  addresses: readonly Address[];
  networks: readonly AppNetwork[];
  hosts: ReadonlyMap<string, Host>;
}

/** A sentence for each thing that is too many or missing. */
export async function leftovers(bed: Bed): Promise<string[]> {
  const records = await readRecords(bed.platform.machine);
  const found = bed.machines.map(async (machine) => {
    const host = bed.hostId(machine);
    const [containers, entries] = await Promise.all([
      strayContainers(machine, host, records),
      wrongEntries(machine, host, records),
    ]);
    return [...containers, ...entries].map((what) => `${machine.name}: ${what}`);
  });
  return [...(await Promise.all(found)).flat(), ...strayAddresses(records)];
}

async function readRecords(machine: Machine): Promise<Records> {
  const baseUrl = `unix:${join(machine.root, 'var/lib/gantry/run/host.sock')}`;
  const log = silentLog;
  const store = createRemoteStore({ baseUrl, clock: systemClock, random: systemRandom, log });
  try {
    const [jobs, addresses, networks, hosts] = await Promise.all([
      listAll<Job>(store, jobPrefix),
      listAll<Address>(store, addressPrefix),
      listAll<AppNetwork>(store, appNetworkPrefix),
      listAll<Host>(store, hostPrefix),
    ]);
    return {
      jobs: new Map(jobs.map(({ value }) => [value.id, value])),
      addresses: addresses.map(({ value }) => value).filter(({ freedAt }) => freedAt === undefined),
      networks: networks.map(({ value }) => value),
      hosts: new Map(hosts.map(({ value }) => [value.id, value])),
    };
  } finally {
    await store.close();
  }
}

/** Running ones of jobs that are no more, or another machine's; and two of one job. */
async function strayContainers(machine: Machine, host: string, { jobs }: Records) {
  const format = `{{.Label "gantry.job"}} {{.Names}}`;
  const text = await machine.must(`docker ps --filter label=gantry.job --format '${format}'`);
  const seen = new Set<string>();
  const stray: string[] = [];
  for (const line of text.split('\n').filter(Boolean)) {
    const [id = '', name] = line.split(' ');
    if (jobs.get(id)?.host !== host) stray.push(`container ${name} of no job of this machine`);
    if (seen.has(id)) stray.push(`container ${name}: a second one of its job`);
    seen.add(id);
  }
  return stray;
}

/** Gateways go with their machine, and none goes for good here. */
function strayAddresses({ addresses, jobs }: Records): string[] {
  return addresses
    .filter(({ job }) => !job.startsWith(gatewayHolderPrefix) && !jobs.has(job))
    .map(({ ip, job }) => `address ${ip} is held by ${job}, which is not there`);
}

/** Compares the tunnels' entries with the addresses that are on other machines. */
async function wrongEntries(machine: Machine, host: string, records: Records): Promise<string[]> {
  const text = await machine.must('bridge fdb show');
  const file = join(machine.root, 'var/lib/gantry/host.json');
  const { clusterId } = JSON.parse(await readFile(file, 'utf8')) as { clusterId: string };
  const wrong: string[] = [];
  for (const { app, vni, gatewayHost, subnet } of records.networks) {
    const device = `gx${clusterTag(clusterId)}-${vni.toString(36)}`;
    const lines = text.split('\n').filter((line) => line.includes(` dev ${device} dst `));
    if (lines.length === 0) continue;
    const seen = new Set(
      lines.map((line) => `${line.split(' ')[0]} ${line.split(' dst ')[1]?.split(' ')[0]}`),
    );
    const elsewhere = records.addresses
      .filter((address) => address.app === app && address.host !== host)
      .map(({ ip, host: there }) => ({ ip, there }));
    if (gatewayHost !== undefined && gatewayHost !== host)
      elsewhere.push({ ip: firstOf(subnet), there: gatewayHost });
    const wanted = new Set(
      elsewhere.map(({ ip, there }) => `${macOf(ip)} ${records.hosts.get(there)?.address}`),
    );
    for (const entry of seen)
      if (!wanted.has(entry)) wrong.push(`${device} has ${entry}, which is nowhere`);
    for (const entry of wanted) if (!seen.has(entry)) wrong.push(`${device} lacks ${entry}`);
  }
  return wrong;
}

function firstOf(subnet: string): string {
  const parts = subnet.split('/')[0]?.split('.') ?? [];
  return [...parts.slice(0, 3), Number(parts[3]) + 1].join('.');
}
