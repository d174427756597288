// What the container of a member of etcd is made from, and the hash that says whether one was made like that.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { ContainerSpec } from '#layer0/host/index';
import { etcdArguments } from '#layer0/store/index';
import { leaderSilenceMs, memberCpuMillis, memberMemoryBytes } from './config.ts';
import type { MemberPlan } from './wire.ts';

export const planLabel = 'gantry.plan';
/** Whose vote and data it has: the folder of its data. */
export const memberLabel = 'gantry.member';
export const etcdName = 'gantry-etcd';
export const etcdBeforeName = `${etcdName}-before`;
const logMaxBytes = 10 * 1024 * 1024;

export interface EtcdContainerOptions {
  home: string;
  hostId: string;
  /** Has all data of members of this machine. */
  folder: string;
  image: string;
  labels: Record<string, string>;
}

/** Undefined when the plan does not name this machine. */
export function etcdContainer(
  plan: MemberPlan,
  { home, hostId, folder, image, labels }: EtcdContainerOptions,
): ContainerSpec | undefined {
  const own = plan.nodes.find((node) => node.hostId === hostId);
  if (!own) return undefined;
  const identity = join(home, 'membership');
  const command = etcdArguments({
    name: hostId,
    dataFolder: join(folder, plan.data),
    clusterToken: plan.token,
    clientUrl: own.clientUrl,
    peerUrl: own.peerUrl,
    state: plan.state,
    electionMs: leaderSilenceMs,
    members: Object.fromEntries(plan.nodes.map((node) => [node.hostId, node.peerUrl])),
    tls: {
      certFile: join(identity, 'host.crt'),
      keyFile: join(identity, 'host.key'),
      caFile: join(identity, 'authority.crt'),
    },
  });
  const made = {
    name: etcdName,
    image,
    command: ['etcd', ...command],
    env: {},
    network: { kind: 'host' } as const,
    binds: [
      { source: folder, target: folder, isReadOnly: false },
      { source: identity, target: identity, isReadOnly: true },
    ],
    memoryBytes: memberMemoryBytes,
    cpuMillis: memberCpuMillis,
    pids: 512,
    tty: false,
    openStdin: false,
    capabilities: [],
    logMaxBytes,
    logMaxFiles: 3,
  };
  return {
    ...made,
    labels: { ...labels, [planLabel]: hashOf(made), [memberLabel]: plan.data },
  };
}

/** Containers of the version before this one have no label that says whose data they have: their plan was the command's. */
export function isSameMember(labels: Record<string, string>, wanted: ContainerSpec): boolean {
  const member = labels[memberLabel];
  if (member !== undefined) return member === wanted.labels[memberLabel];
  return labels[planLabel] === hashOf(wanted.command?.slice(1));
}

function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}
