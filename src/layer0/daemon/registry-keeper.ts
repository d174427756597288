// The registries of the cluster, as this machine keeps and reaches them: two machines have one, and every machine's loopback has
// a port for each. What is needed and here is put into those that lack it; what nobody needs goes.

import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Component } from '#core/component';
import { toAppError } from '#core/errors';
import { type HttpServer, onUpgrade } from '#core/http-server';
import { createLoop, type Loop } from '#core/reconcile';
import {
  createOwnContainers,
  createRegistryEngine,
  type OwnContainer,
  type OwnContainers,
} from '#layer0/host/index';
import { defaultMinAgeMs, type Images, imagesToForget, Registry } from '#layer0/images/index';
import type { Member } from '#layer0/membership/client';
import type { Peers } from '#layer0/membership/index';
import type { Store } from '#layer0/store/client';
import { registryEveryMs, registrySlots } from './config.ts';
import { neededImages } from './housekeeping.ts';
import type { DaemonConfig, DaemonDeps } from './index.ts';
import { answerTunnel, TunnelPort } from './registry-tunnel.ts';

const name = 'gantry-registry';
const planLabel = 'gantry.plan';

/** The machines that have a registry: the two that have been members longest; none while a machine is alone. */
export function registryHosts(members: readonly Member[]): string[] {
  if (members.length < 2) return [];
  return [...members]
    .sort((a, b) => a.admittedAt - b.admittedAt || (a.hostId < b.hostId ? -1 : 1))
    .slice(0, registrySlots)
    .map(({ hostId }) => hostId);
}

export interface RegistryKeeperDeps extends DaemonDeps {
  store: Store;
  peers: Peers;
  images: () => Images;
}

export class RegistryKeeper implements Component {
  readonly #deps: RegistryKeeperDeps;
  readonly #config: DaemonConfig;
  readonly #loop: Loop;
  readonly #containers: OwnContainers;
  /** Packs and unpacks what goes to a registry and comes from one. */
  readonly engine: ReturnType<typeof createRegistryEngine>;
  readonly #ports: TunnelPort[];
  #registries: Registry[] = [];
  #unwatch = () => {};
  readonly #firstSeenMs = new Map<string, number>();
  #collected = 0;

  constructor(deps: RegistryKeeperDeps, config: DaemonConfig) {
    this.#deps = deps;
    this.#config = config;
    const { clock, random, peers } = deps;
    const log = deps.log.child({ part: 'registry' });
    const socketPath = config.engineSocket;
    this.#containers = createOwnContainers({ socketPath, clock });
    this.engine = createRegistryEngine({ socketPath, clock });
    const local = { hostId: config.hostId, port: config.registryPort };
    this.#ports = Array.from(
      { length: registrySlots },
      (_, slot) => new TunnelPort({ peers, local, port: config.registryPort + 1 + slot, log }),
    );
    const run = () => this.#pass();
    const resyncMs = registryEveryMs;
    this.#loop = createLoop({ name: 'registry', run, resyncMs, clock, random, log });
  }

  /** Those that there are, the same order on every machine. */
  list(): readonly Registry[] {
    return this.#registries;
  }

  async start(): Promise<void> {
    this.#unwatch = this.#deps.peers.watch(() => this.#loop.trigger());
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#unwatch();
    await this.#loop.stop();
    for (const port of this.#ports) await port.close();
    for (const registry of this.#registries) registry.close();
    this.#containers.close();
    this.engine.close();
  }

  status(): Record<string, unknown> {
    const hosts = this.#registries.map(({ host }) => host);
    return { registry: { hosts, collected: this.#collected, loop: this.#loop.status() } };
  }

  /** Members reach this machine's registry through here. */
  register(server: HttpServer): void {
    const { registryPort } = this.#config;
    const path = /^\/images\/registry$/;
    onUpgrade(server, [
      { path, handle: (_request, socket, head) => answerTunnel(registryPort, socket, head) },
    ]);
  }

  async #pass(): Promise<void | { againMs: number }> {
    const hosts = registryHosts(this.#deps.peers.list());
    await this.#open(hosts);
    const isMine = hosts.includes(this.#config.hostId);
    await (isMine ? this.#keepContainer() : this.#removeContainer());
    if (hosts.length === 0) return;
    const needed = await neededImages(this.#deps.store);
    const held = new Map<Registry, Set<string>>();
    for (const registry of this.#registries) {
      const seen = await registry.list().then((ids) => new Set(ids), toAppError);
      if (seen instanceof Set) held.set(registry, seen);
    }
    await this.#fill(needed, held);
    for (const [registry, ids] of held)
      if (registry.host === this.#config.hostId) await this.#collect(registry, ids, needed);
    // One that has just been started answers soon.
    if (held.size < hosts.length) return { againMs: registryEveryMs / 6 };
  }

  /** A port for each registry, and none while there are none. */
  async #open(hosts: string[]): Promise<void> {
    if (hosts.join() === this.#registries.map(({ host }) => host).join()) return;
    for (const registry of this.#registries) registry.close();
    this.#registries = [];
    for (const [slot, port] of this.#ports.entries()) {
      const host = hosts[slot];
      if (host === undefined) await port.close();
      else await port.open(host);
    }
    this.#registries = hosts.map((host, slot) => {
      const address = `127.0.0.1:${this.#config.registryPort + 1 + slot}`;
      return new Registry({ host, address });
    });
  }

  get #folder(): string {
    return join(this.#config.home, 'registry');
  }

  async #keepContainer(): Promise<void> {
    const containers = this.#containers;
    const daemon = await containers.find('gantry-host');
    if (!daemon) return;
    const { clusterId, registryPort } = this.#config;
    const plan: OwnContainer = {
      name,
      image: daemon.image,
      command: ['sh', 'bin/gantry-registry.sh'],
      env: {
        GANTRY_REGISTRY_FOLDER: this.#folder,
        GANTRY_REGISTRY_ADDRESS: `127.0.0.1:${registryPort}`,
        // It signs where an upload goes on; nobody else reaches this registry.
        GANTRY_REGISTRY_SECRET: clusterId,
      },
      binds: [`${this.#folder}:${this.#folder}`],
      labels: { 'gantry.platform': clusterId, 'gantry.role': 'registry' },
      capabilities: [],
    };
    const hash = createHash('sha256').update(JSON.stringify(plan)).digest('hex').slice(0, 16);
    const seen = await containers.find(name);
    if (seen?.labels[planLabel] === hash) {
      if (!seen.isRunning) await containers.start(name);
      return;
    }
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await containers.remove(name);
    await containers.create({ ...plan, labels: { ...plan.labels, [planLabel]: hash } });
    await containers.start(name);
  }

  /** Another machine has the copies; this one is alone, or no member any more. */
  async #removeContainer(): Promise<void> {
    if (!(await this.#containers.find(name))) return;
    await this.#containers.remove(name);
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** What was released before there was a second machine, and what a registry lacks that was away. */
  async #fill(needed: Set<string>, held: Map<Registry, Set<string>>): Promise<void> {
    if (held.size === 0) return;
    const here = new Set((await this.#deps.images().list()).map(({ id }) => id));
    const isMissing = (id: string) => [...held.values()].some((ids) => !ids.has(id));
    for (const id of needed)
      if (here.has(id) && isMissing(id)) await this.#deps.images().publish(id);
  }

  /** Deleted by name now; the bytes at the next start of the registry, which is at once. */
  async #collect(registry: Registry, ids: Set<string>, needed: Set<string>): Promise<void> {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const id of this.#firstSeenMs.keys()) if (!ids.has(id)) this.#firstSeenMs.delete(id);
    for (const id of ids) if (!this.#firstSeenMs.has(id)) this.#firstSeenMs.set(id, nowMs);
    const firstSeenMs = this.#firstSeenMs;
    const minAgeMs = defaultMinAgeMs;
    const gone = imagesToForget({ held: ids, needed, firstSeenMs, nowMs, minAgeMs });
    for (const id of gone) await registry.remove(id);
    if (gone.length === 0) return;
    this.#collected += gone.length;
    this.#deps.log.info({ images: gone }, 'removed images from the registry that nothing names');
    await this.#containers.stop(name);
    await this.#containers.start(name);
  }
}
