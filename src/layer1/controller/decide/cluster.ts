// From what machines, store and mirrors say to one view of the cluster. Unknown stays unknown: what nobody said is left out.

import type { HaStatus, MemberStatus } from '#layer0/ha/wire';
import type { JobStatus, MemberReport } from '#layer0/host/wire';
import type { Formation, Job } from '#layer0/scheduler/wire';
import type { HostView } from '../api.ts';
import type { ClusterView, MachineView, StoreView } from '../cluster-api.ts';
import { clocksAhead } from './clocks.ts';

/** Machines renew theirs when 30 days are left: one that has less than this does not. */
export const machineCertificateMs = 21 * 86_400_000;
/** Of a domain: time to get another one. */
export const domainCertificateMs = 14 * 86_400_000;
/** Rows of one list; a person reads no more. */
const maxRows = 100;

export interface ClusterSeen {
  now: number;
  /** Undefined while the store does not say. */
  hosts: readonly HostView[] | undefined;
  reports: readonly MemberReport[];
  /** Milliseconds since a machine was seen to go, by id. */
  silentFor: ReadonlyMap<string, number>;
  formations: readonly Formation[];
  jobs: readonly Job[];
  status(job: string): JobStatus | undefined;
  certificates: readonly { domain: string; expiresAt: number }[];
  /** Why the store did not answer this controller. */
  storeError?: string;
  /** What a daemon says of where the store is. */
  ha?: HaStatus | undefined;
}

export function viewCluster(seen: ClusterSeen): ClusterView {
  const machines = viewMachines(seen);
  const schedulers = seen.reports.flatMap(({ name, report }) =>
    (report?.scheduler?.schedulers ?? []).map((one) => ({ ...one, machine: name })),
  );
  const leader = schedulers.find((one) => one.name === 'service' && one.isLeader)?.machine;
  const sum = (of: (one: (typeof schedulers)[number]) => number) =>
    schedulers.reduce((total, one) => total + of(one), 0);
  return {
    at: seen.now,
    machines,
    store: viewStore(seen),
    scheduler: {
      ...(leader === undefined ? {} : { leader }),
      commits: sum(({ commits }) => commits),
      conflicts: sum(({ conflicts }) => conflicts),
    },
    pending: viewPending(seen),
    short: viewShort(seen),
    certificates: viewCertificates(seen, machines),
    versions: viewVersions(machines),
  };
}

function viewMachines(seen: ClusterSeen): MachineView[] {
  const { hosts, reports, silentFor } = seen;
  const reportOf = new Map(reports.map((report) => [report.hostId, report]));
  const listed = (hosts ?? []).map(
    ({ id, name, address, state, reason, version, jobs, drain }) => ({
      id,
      name,
      address,
      state,
      jobs,
      ...(drain === undefined ? {} : { isDrained: true }),
      ...(reason === undefined ? {} : { reason }),
      ...(version === undefined ? {} : { version }),
    }),
  );
  const known = new Set(listed.map(({ id }) => id));
  const others = reports
    .filter(({ hostId }) => !known.has(hostId))
    .map(({ hostId, name, address, error }) => ({
      id: hostId,
      name,
      address,
      state: error === undefined ? 'up' : 'silent',
      ...(error === undefined ? {} : { reason: error }),
    }));
  const clocks = clocksAhead(reports);
  return [...listed, ...others].map((machine) => {
    const clockAheadMs = clocks.get(machine.id);
    const said = reportOf.get(machine.id);
    const report = said?.report;
    const silentForMs = machine.state === 'up' ? undefined : silentFor.get(machine.id);
    return {
      ...machine,
      ...(report?.version === undefined ? {} : { version: report.version }),
      ...(silentForMs === undefined ? {} : { silentForMs }),
      ...(report?.disk ? { diskFreeBytes: report.disk.freeBytes } : {}),
      ...(clockAheadMs === undefined ? {} : { clockAheadMs }),
      ...(report?.certificateEndsAt === undefined
        ? {}
        : { certificateEndsAt: report.certificateEndsAt }),
      roles: rolesOf(machine.id, seen),
    };
  });
}

function rolesOf(id: string, { reports, ha }: ClusterSeen): string[] {
  const report = reports.find(({ hostId }) => hostId === id)?.report;
  const isLeader = report?.scheduler?.schedulers.some(
    (one) => one.name === 'service' && one.isLeader,
  );
  const hasCopy = ha?.members.some(({ hostId }) => hostId === id);
  const hasStore = hasCopy || storeHostOf(reports) === id;
  return [...(hasStore ? ['store'] : []), ...(isLeader ? ['scheduler'] : [])];
}

/** What daemons say of their store: the embedded one has a history, a remote one names its host, etcd its endpoints. */
interface StoreSaid {
  engine?: string;
  host?: string;
  historyBytes?: number;
  endpoints?: string[];
  incarnation?: string;
  revision?: number;
}

function storeHostOf(reports: readonly MemberReport[]): string | undefined {
  for (const { hostId, report } of reports) {
    const said = report?.store as StoreSaid | undefined;
    if (said?.historyBytes !== undefined) return hostId;
  }
  for (const { report } of reports) {
    const said = report?.store as StoreSaid | undefined;
    if (said?.host !== undefined) return said.host;
  }
  return undefined;
}

function viewStore(seen: ClusterSeen): StoreView {
  const { ha, reports } = seen;
  const store = viewSaid(seen);
  if (ha?.engine !== 'etcd') return ha ? { ...store, health: ha.health } : store;
  const isAnswering = store.isAnswering && ha.health !== 'no-quorum';
  const nameOf = (id: string) => reports.find(({ hostId }) => hostId === id)?.name ?? id;
  const members = ha.members.map((member) => memberText(nameOf(member.hostId), member));
  // It names who is away; what a call that failed says names whom it asked.
  const isKnown = isAnswering || ha.health === 'no-quorum';
  const message = isKnown ? `etcd: ${ha.summary}` : store.message;
  return { ...store, engine: 'etcd', isAnswering, health: ha.health, members, message };
}

function memberText(name: string, member: MemberStatus): string {
  const { isReachable, isLeader, isLearner, dbBytes } = member;
  if (!isReachable) return `${name} (away)`;
  const size = `${(dbBytes / 1024 ** 2).toFixed(1)} MiB`;
  if (isLearner) return `${name} (learning, ${size})`;
  return isLeader ? `${name} (leads, ${size})` : `${name} (${size})`;
}

function viewSaid({ reports, storeError, ha }: ClusterSeen): StoreView {
  const said = reports.flatMap(({ report }) => (report?.store ? [report.store as StoreSaid] : []));
  const etcd = said.find(({ endpoints }) => endpoints !== undefined);
  const hostId = etcd ? undefined : storeHostOf(reports);
  const host = reports.find((one) => one.hostId === hostId)?.name ?? hostId;
  const position = said.find(({ revision }) => revision !== undefined);
  const isAnswering = storeError === undefined && ha?.health !== 'no-quorum';
  const why = storeError ?? ha?.summary;
  const where = etcd ? 'etcd' : host === undefined ? 'the store' : `the store on ${host}`;
  return {
    isAnswering,
    engine: etcd ? 'etcd' : host === undefined ? 'unknown' : 'embedded',
    ...(host === undefined ? {} : { host }),
    ...(position?.revision === undefined ? {} : { revision: position.revision }),
    ...(position?.incarnation === undefined ? {} : { incarnation: position.incarnation }),
    ...(etcd?.endpoints ? { members: etcd.endpoints } : {}),
    message: isAnswering
      ? `${where} answers`
      : `${where} is away: nothing new is decided, and everything that runs goes on (${why})`,
  };
}

function viewPending({ jobs }: ClusterSeen): ClusterView['pending'] {
  return jobs
    .filter(({ desired, host }) => desired === 'up' && host === undefined)
    .sort((a, b) => a.createdAt - b.createdAt)
    .slice(0, maxRows)
    .map((job) => ({
      app: job.appName,
      name: `${job.type}.${job.index}`,
      reason: job.pendingReason ?? 'no scheduler has looked at it yet',
      since: job.createdAt,
    }));
}

function viewShort({ formations, jobs, status, hosts }: ClusterSeen): ClusterView['short'] {
  const up = hosts?.filter(({ state }) => state === 'up').length;
  return formations
    .flatMap((formation) =>
      Object.entries(formation.processes).flatMap(([type, { quantity, isOnePerHost }]) => {
        const wanted = isOnePerHost && quantity > 0 ? up : quantity;
        const mine = jobs.filter(
          (job) => job.release === formation.release && job.type === type && job.desired === 'up',
        );
        const healthy = mine.filter(({ id }) => status(id)?.isHealthy).length;
        if (wanted === undefined || healthy >= wanted) return [];
        const sick = mine.find(({ id }) => !status(id)?.isHealthy);
        const reason = sick && (status(sick.id)?.reason ?? sick.pendingReason);
        const { appName: app, releaseVersion: version } = formation;
        return [
          { app, type, version, wanted, healthy, ...(reason === undefined ? {} : { reason }) },
        ];
      }),
    )
    .slice(0, maxRows);
}

function viewCertificates(
  { now, certificates }: ClusterSeen,
  machines: readonly MachineView[],
): ClusterView['certificates'] {
  const domains = certificates
    .filter(({ expiresAt }) => expiresAt - now < domainCertificateMs)
    .map(({ domain, expiresAt }) => ({ of: domain, endsAt: expiresAt }));
  const ending = machines.flatMap(({ name, certificateEndsAt: endsAt }) =>
    endsAt !== undefined && endsAt - now < machineCertificateMs
      ? [{ of: `machine ${name}`, endsAt }]
      : [],
  );
  return [...ending, ...domains];
}

function viewVersions(machines: readonly MachineView[]): ClusterView['versions'] {
  const living = machines.filter(({ state, version }) => state !== 'silent' && version);
  const byVersion = Map.groupBy(living, ({ version }) => version ?? '');
  return [...byVersion].map(([version, those]) => ({
    version,
    machines: those.map(({ name }) => name),
  }));
}
