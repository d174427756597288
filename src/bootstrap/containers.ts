// The two containers outside of app `gantry`: the host daemon and DNS. Docker starts them again by itself, also at boot.
// One is replaced when it would be made differently today; nothing that it runs is touched by that. When the new one does not
// come up, the old one is put back. Killed anywhere, the next call goes on.

import { createHash } from 'node:crypto';
import { systemClock } from '#core/clock';
import {
  createOwnContainers,
  fenceFolder,
  type OwnContainer,
  type OwnContainers,
} from '#layer0/host/index';
import { bootstrapErrors } from './errors.ts';
import type { Machine } from './machine-file.ts';
import { chosenFor } from './settings.ts';

export type ContainerPlan = Readonly<OwnContainer>;

/**
 * The image gives every process a young generation of 2 MB, because most of them wait. These two work for all others, and
 * with Node's own 16 MB an answer of DNS costs 15 % less and a commit of the store 10 %.
 */
const busy = { NODE_OPTIONS: '--max-semi-space-size=16' };

/** Where the daemon finds the engine's socket folder. */
export const engineMount = '/gantry/engine';

export const hostName = 'gantry-host';
export const dnsName = 'gantry-dns';
/** Made by the host daemon, on the machines that have a copy of the store. */
export const etcdName = 'gantry-etcd';
/** Replaces the two when nobody is at the machine. */
export const replaceName = 'gantry-replace';
/** The daemon's own; only taken away here. */
export const registryName = 'gantry-registry';

export function hostPlan(machine: Machine, image: string, version: string): ContainerPlan {
  return {
    name: hostName,
    image,
    command: ['node', 'bin/gantry-host.ts'],
    env: {
      ...busy,
      ...chosenFor('daemon', machine.settings),
      GANTRY_HOME: machine.home,
      GANTRY_CLUSTER_ID: machine.clusterId,
      GANTRY_HOST_ID: machine.hostId,
      GANTRY_HOST_NAME: machine.name,
      GANTRY_HOST_ADDRESS: machine.address,
      GANTRY_ENGINE_SOCKET: `${engineMount}/${machine.engineSocket}`,
      GANTRY_DOMAIN: machine.domain,
      GANTRY_HTTP_PORT: String(machine.httpPort),
      GANTRY_HTTPS_PORT: String(machine.httpsPort),
      GANTRY_VERSION: version,
      ...(machine.storeHost === undefined
        ? { GANTRY_UPGRADED_BY: 'hand' }
        : { GANTRY_STORE_HOST: machine.storeHost }),
    },
    binds: [
      `${machine.home}:${machine.home}`,
      `${machine.engineFolder}:${engineMount}`,
      `${fenceFolder}:${fenceFolder}`,
    ],
    labels: labels(machine, 'host'),
    // Firewall rules, and volumes that belong to the users of containers; nothing else of root's rights.
    capabilities: ['NET_ADMIN', 'NET_RAW', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER'],
  };
}

export function dnsPlan(machine: Machine, image: string): ContainerPlan {
  return {
    name: dnsName,
    image,
    command: ['node', 'bin/gantry-dns.ts'],
    env: { ...busy, GANTRY_HOME: machine.home },
    binds: [`${machine.home}/dns:${machine.home}/dns:ro`, `${fenceFolder}:${fenceFolder}:ro`],
    labels: labels(machine, 'dns'),
    // The fence ends processes of other containers.
    capabilities: ['NET_BIND_SERVICE', 'KILL'],
    hasHostPids: true,
  };
}

function labels(machine: Machine, role: string): Record<string, string> {
  return { 'gantry.platform': machine.clusterId, 'gantry.role': role };
}

/** The engine of this machine; `folder` is where its socket is seen from here. */
export function openEngine(machine: Machine, folder = machine.engineFolder): OwnContainers {
  return createOwnContainers({
    socketPath: `${folder}/${machine.engineSocket}`,
    clock: systemClock,
  });
}

const planLabel = 'gantry.plan';
/** What of its log is said when a container does not come up. */
const saidLines = 20;

const beforeOf = (name: string) => `${name}-before`;

/** Says whether something was changed. `isUp` rejects when the new one does not do its work. */
export async function ensureContainer(
  engine: OwnContainers,
  plan: ContainerPlan,
  isUp: () => Promise<void>,
): Promise<boolean> {
  const { name } = plan;
  const hash = hashOf(plan);
  const before = beforeOf(name);
  const seen = await engine.find(name);
  const isMade = seen?.labels[planLabel] === hash;
  const hasBefore = (await engine.find(before)) !== undefined;
  if (isMade && seen.isRunning && !hasBefore) {
    await isUp();
    return false;
  }
  if (seen && !isMade) await (hasBefore ? engine.remove(name) : setAside(engine, name));
  if (!isMade) await engine.create({ ...plan, labels: { ...plan.labels, [planLabel]: hash } });
  await engine.stop(before);
  await engine.start(name);
  try {
    await isUp();
  } catch (cause) {
    throw await putBack(engine, name, cause);
  }
  await engine.remove(before);
  return true;
}

/** From here on the engine does not start it by itself: never two of one name's work. */
async function setAside(engine: OwnContainers, name: string): Promise<void> {
  await engine.restarts(name, false);
  await engine.rename(name, beforeOf(name));
}

/** The container that ran before runs again, where there was one; the error says what the new one said. */
async function putBack(engine: OwnContainers, name: string, cause: unknown) {
  const said = (await engine.tail(name, saidLines)).trim();
  const reason = `${cause instanceof Error ? cause.message : String(cause)}\n${said}`;
  const before = beforeOf(name);
  if (!(await engine.find(before)))
    return bootstrapErrors.command(`${name} did not come up: ${reason}`, { cause });
  await engine.remove(name);
  await engine.rename(before, name);
  await engine.restarts(name, true);
  await engine.start(name);
  return bootstrapErrors.command(
    `the new ${name} did not come up, and the one before it runs again: ${reason}`,
    { cause },
  );
}

/** Asks it to stop, then removes it, and what is left of a replacement; absent is no error. */
export async function removeContainer(engine: OwnContainers, name: string): Promise<void> {
  for (const each of [name, beforeOf(name)]) {
    await engine.stop(each);
    await engine.remove(each);
  }
}

function hashOf(plan: ContainerPlan): string {
  return createHash('sha256').update(JSON.stringify(plan)).digest('hex').slice(0, 16);
}
