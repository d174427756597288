// Is everything what was asked for? Answers with what is not, in words; nothing is settled while anything is left.

import type { Instance } from '#layer0/discovery/client';
import { instancePrefix } from '#layer0/discovery/wire';
import { hostDrainKey, hostPrefix, type JobStatus, statusPrefix } from '#layer0/host/wire';
import { gatewayOf } from '#layer0/network/client';
import {
  type Address,
  type AppNetwork,
  addressPrefix,
  appNetworkPrefix,
  gatewayHolder,
  gatewayHolderPrefix,
  routesApp,
} from '#layer0/network/wire';
import {
  type Formation,
  formationPrefix,
  type Job,
  jobPrefix,
  rebalancePrefix,
} from '#layer0/scheduler/wire';
import { type App, appPrefix, type Deployment, deploymentRoot } from '#layer1/controller/wire';
import { listRunning } from './invariants.ts';
import { badImageName, type Machine } from './machine.ts';
import type { Simulation } from './simulation.ts';

interface Seen {
  formations: Formation[];
  jobs: Job[];
  status: Map<string, JobStatus>;
  /** Hosts of the running containers of each job. */
  running: Map<string, string[]>;
  /** Jobs that only an earlier store knew: they run until they end by themselves. */
  foreign: Set<string>;
  hosts: number;
}

export async function unsettled(sim: Simulation): Promise<string[]> {
  const seen = await look(sim);
  const asked = new Set<string>();
  const open: string[] = [];
  for (const formation of seen.formations)
    for (const [type, process] of Object.entries(formation.processes)) {
      const { app, release } = formation;
      asked.add(`${app}/${release}/${type}`);
      const wanted = process.isOnePerHost && process.quantity > 0 ? seen.hosts : process.quantity;
      const jobs = seen.jobs.filter(
        (job) => job.app === app && job.release === release && job.type === type,
      );
      if (jobs.length !== wanted) open.push(`${app} ${release} has ${jobs.length} of ${wanted}`);
      for (const job of jobs) open.push(...openOf(job, seen));
    }
  for (const job of seen.jobs) {
    const isAsked = asked.has(`${job.app}/${job.release}/${job.type}`);
    if (job.kind === 'service' && !isAsked) open.push(`${job.id} has no formation`);
    if (job.kind === 'ephemeral') open.push(...openOneOff(job, seen));
  }
  open.push(...openDeployments(sim, seen.formations), ...openMoves(sim, seen));
  const known = new Set(seen.jobs.map(({ id }) => id));
  for (const [id, hosts] of seen.running)
    if (!known.has(id)) open.push(`a container of ${id} runs on ${hosts} without a record`);
  for (const id of seen.foreign) known.add(id);
  open.push(...openAddresses(sim, known), ...openTunnels(sim), ...openDiscovery(sim, seen));
  return open;
}

function openOf(job: Job, { status, running }: Seen): string[] {
  const is = status.get(job.id);
  const where = running.get(job.id) ?? [];
  if (job.desired === 'down')
    return [`${job.id} is not down yet: ${is?.state} ${is?.reason ?? ''}`];
  if (job.host === undefined)
    return job.pendingReason?.includes('not enough memory: needs 100 GB')
      ? []
      : [`${job.id} waits: ${job.pendingReason}`];
  // Scaled up from nothing after a deployment that had nothing to try: it crashes, as it was asked to.
  if (job.spec.image === badImageName) return [];
  if (where.length !== 1 || where[0] !== job.host)
    return [`${job.id} runs on [${where}], not on ${job.host}: ${is?.state} ${is?.reason ?? ''}`];
  if (is?.state !== 'up' || !is.isHealthy)
    return [`${job.id} is ${is?.state}, not healthy: ${is?.reason ?? ''}`];
  return [];
}

/** Hosts that are drained are empty but for what belongs to them, and nothing waits to be spread. */
function openMoves({ ledger }: Simulation, { jobs }: Seen): string[] {
  const asked = ledger.readRange({ prefix: rebalancePrefix }).map(({ key }) => key);
  const left = jobs.filter(
    ({ kind, host, isOnePerHost }) =>
      kind === 'service' && host !== undefined && !isOnePerHost && ledger.read(hostDrainKey(host)),
  );
  return [
    ...asked.map((key) => `${key} is not done yet`),
    ...left.map(({ id, host, moveReason }) => `${id} is on ${host} still: ${moveReason ?? ''}`),
  ];
}

/** Every rollout has ended, and what people want is what the formations of the current release say. */
function openDeployments({ ledger }: Simulation, formations: Formation[]): string[] {
  const open: string[] = [];
  for (const { value } of ledger.readRange({ prefix: deploymentRoot })) {
    const { id, endedAt, state, reason } = value as Deployment;
    if (endedAt === undefined) open.push(`${id} is ${state}: ${reason ?? ''}`);
  }
  for (const { value } of ledger.readRange({ prefix: appPrefix })) {
    const app = value as App;
    if (app.isDeleting) open.push(`${app.name} is not deleted yet`);
    if (!app.currentRelease) continue;
    for (const { app: id, release, processes } of formations) {
      if (id !== app.id) continue;
      const wanted = release === app.currentRelease ? (app.quantities.web ?? 1) : 0;
      const asked = processes.web?.quantity ?? 0;
      if (asked !== wanted) open.push(`${app.name} asks for ${asked} of ${release}, not ${wanted}`);
    }
  }
  return open;
}

/** A command that runs for ever is fine; one that waits for its place or its end is not. */
function openOneOff(job: Job, { status, running }: Seen): string[] {
  const is = status.get(job.id);
  if (is?.state === 'down' || is?.state === 'failed') return [];
  const isRunning = (running.get(job.id) ?? []).length === 1;
  if (job.desired === 'up' && is?.state === 'up' && isRunning) return [];
  return [`${job.id} (one-off) is ${is?.state ?? 'pending'}: ${is?.reason ?? job.pendingReason}`];
}

/** Every address in use belongs to a job that is there, or is a machine's own in a network. */
function openAddresses(sim: Simulation, known: Set<string>): string[] {
  return sim.ledger.readRange({ prefix: addressPrefix }).flatMap(({ value }) => {
    const { ip, job, host, freedAt } = value as Address;
    if (freedAt === undefined && sim.isRemoved(host))
      return [`${ip} is still held on ${host}, which was taken out`];
    if (freedAt !== undefined || known.has(job) || job.startsWith(gatewayHolderPrefix)) return [];
    return [`${ip} is still held by ${job}`];
  });
}

/** Each machine has an entry for each address on another one, in the networks that it carries, and no other. */
function openTunnels(sim: Simulation): string[] {
  if (!sim.isCluster) return [];
  const { ledger } = sim;
  const machines = sim.machines.filter(({ id }) => !sim.isRemoved(id));
  const networks = ledger.readRange({ prefix: appNetworkPrefix });
  return machines.flatMap((machine) => {
    const wanted = new Set(
      networks.flatMap(({ value }) =>
        wantedEntries(value as AppNetwork, machine, { ledger, machines }),
      ),
    );
    const has = machine.tunnels.entries();
    return [
      ...[...wanted]
        .filter((entry) => !has.has(entry))
        .map((entry) => `${machine.id} lacks ${entry}`),
      ...[...has]
        .filter((entry) => !wanted.has(entry))
        .map((entry) => `${machine.id} still has ${entry}`),
    ];
  });
}

function wantedEntries(
  { app, vni, subnet, gatewayHost }: AppNetwork,
  { id }: Machine,
  { ledger, machines }: Pick<Simulation, 'ledger' | 'machines'>,
): string[] {
  const held = ledger
    .readRange({ prefix: `${addressPrefix}${app}/` })
    .map(({ value }) => value as Address)
    .filter(({ freedAt }) => freedAt === undefined)
    .map(({ ip, host, job }) => ({ ip, host, isGateway: job === gatewayHolder(app, host) }));
  if (gatewayHost !== undefined)
    held.push({ ip: gatewayOf(subnet), host: gatewayHost, isGateway: true });
  // Machines join that network by routes, and none of their containers is in it.
  if (app === routesApp) return [];
  if (!held.some(({ host, isGateway }) => isGateway && host === id)) return [];
  return held.flatMap(({ ip, host }) => {
    const there = machines.find((machine) => machine.id === host);
    return host === id || !there ? [] : [`${vni} ${ip} ${there.plan.address}`];
  });
}

/** Who is listed is healthy, and the other way round. */
function openDiscovery({ ledger }: Simulation, { jobs, status, foreign }: Seen): string[] {
  const listed = new Set(
    ledger
      .readRange({ prefix: instancePrefix })
      .flatMap(({ value }) => (value as Instance).job ?? []),
  );
  const open: string[] = [];
  for (const { id, kind } of jobs) {
    const is = status.get(id);
    const isHealthy = is?.state === 'up' && is.isHealthy;
    if (kind === 'service' && isHealthy && !listed.delete(id)) open.push(`${id} is not listed`);
  }
  for (const id of listed) if (!foreign.has(id)) open.push(`${id} is listed and not healthy`);
  return open;
}

function isKnown({ ledger }: Simulation, job: string): boolean {
  return ledger.read(`${jobPrefix}${job}`) !== undefined;
}

async function look(sim: Simulation): Promise<Seen> {
  const read = <T>(prefix: string) =>
    sim.ledger.readRange({ prefix }).map(({ value }) => value as T);
  const running = new Map<string, string[]>();
  const foreign = new Set<string>();
  for (const machine of sim.machines) {
    // Its members do not speak with it: what it runs is its own affair, and nothing leads there.
    if (sim.isRemoved(machine.id)) continue;
    for (const { labels } of await listRunning(machine)) {
      const job = labels['gantry.job'] ?? '';
      if (labels['gantry.incarnation'] !== sim.ledger.incarnation && !isKnown(sim, job)) {
        foreign.add(job);
        continue;
      }
      running.set(job, [...(running.get(job) ?? []), machine.id]);
    }
  }
  return {
    formations: read<Formation>(formationPrefix),
    jobs: read<Job>(jobPrefix),
    status: new Map(read<JobStatus>(statusPrefix).map((status) => [status.jobId, status])),
    running,
    foreign,
    hosts: read(hostPrefix).length,
  };
}
