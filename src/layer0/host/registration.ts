// Makes the machine known: its record, a key that lives as long as the agent's lease, and an instance of service `host`.
// Under the same lease it says how busy it is.

import { readFile } from 'node:fs/promises';
import type { Clock } from '#core/clock';
import { hasCode } from '#core/errors';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop, type LoopStatus } from '#core/reconcile';
import type { DiscoveryClient } from '#layer0/discovery/client';
import { removedKey } from '#layer0/membership/wire';
import type { Revision, Store } from '#layer0/store/client';
import type { HostConfig } from './config.ts';
import { hostErrors } from './errors.ts';
import type { LoadMeter } from './load.ts';
import type { Runtime } from './runtime/runtime.ts';
import type { Tenure } from './tenure.ts';
import {
  type Host,
  type HostLoad,
  type HostSilent,
  hostAliveKey,
  hostKey,
  hostLoadPrefix,
  hostSilentPrefix,
} from './wire.ts';

export interface RegistrationDeps {
  store: Store;
  runtime: Pick<Runtime, 'info'>;
  discovery: Pick<DiscoveryClient, 'register' | 'deregister'>;
  clock: Clock;
  random: Random;
  log: Log;
  /** Instead of asking the kernel. */
  bootId?: () => Promise<string>;
  /** What the lease is good for beside being seen. */
  tenure?: Tenure;
  /** Resolves when this process has seen the records of jobs as of a revision. */
  recordsSeen?(revision: Revision): Promise<void>;
  /** Absent: the host says nothing about it. */
  load?: LoadMeter;
  /** Ids of machines that do not answer this one; absent: it listens for none. */
  silent?(): readonly string[];
}

/** Told again after this long, and when it has changed by so much: ten thousand hosts may share a store. */
const loadEveryMs = 30_000;
const loadStepPercent = 10;

const service = 'host';

export class HostRegistration {
  readonly #deps: RegistrationDeps;
  readonly #config: HostConfig;
  readonly #loop: Loop;
  #lease: string | undefined;
  #host: Host | undefined;
  #bootId = 'unknown';
  /** What was said last, and under which lease. */
  #said: { busyPercent: number; atMs: number; lease: string } | undefined;
  /** Which machines were called silent last, and under which lease. */
  #saidSilent: { hosts: string; lease: string } | undefined;

  constructor(deps: RegistrationDeps, config: HostConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#loop = createLoop({
      name: 'host-registration',
      run: () => this.#pass(),
      resyncMs: config.hostLeaseMs / 4,
      backoff: { minMs: 100, maxMs: config.hostLeaseMs / 8 },
      clock: deps.clock,
      random: deps.random,
      log: deps.log,
    });
  }

  async start(): Promise<void> {
    this.#bootId = await (this.#deps.bootId ?? readBootId)();
    this.#loop.start();
  }

  /** Leaves the record: a host that is being restarted is still a host. Its lease runs out by itself. */
  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** The engine came back, maybe as another version: says it again. */
  refresh(): void {
    this.#host = undefined;
    this.#loop.trigger();
  }

  /** What this machine hears is not what it was. */
  tellSilence(): void {
    this.#loop.trigger();
  }

  status(): LoopStatus {
    return this.#loop.status();
  }

  async #pass(): Promise<void> {
    const { store, discovery, tenure, clock } = this.#deps;
    const askedAtMs = clock.monotonicMs();
    if (this.#lease !== undefined && !(await this.#isKept(this.#lease))) {
      this.#lease = undefined;
      tenure?.end();
    }
    if (this.#lease !== undefined && this.#host) {
      await tenure?.renew(askedAtMs);
      await this.#tellSilent(this.#lease);
      return await this.#tellLoad(this.#lease);
    }
    const host = await this.#describe();
    const sentAtMs = this.#lease === undefined ? clock.monotonicMs() : askedAtMs;
    const lease = this.#lease ?? (await store.grantLease(this.#config.hostLeaseMs)).id;
    const { ok, revision } = await store.txn({
      compare: [{ key: removedKey(host.id), is: 'absent' }],
      operations: [
        { put: hostKey(host.id), value: host },
        { put: hostAliveKey(host.id), value: { bootId: host.bootId }, lease },
        // What an earlier life heard.
        { delete: `${hostSilentPrefix}${host.id}` },
      ],
    });
    if (!ok)
      throw hostErrors.removed(
        `this machine (${host.id}) does not register: it was removed from the cluster. script/down takes Gantry off it`,
      );
    this.#lease = lease;
    this.#host = host;
    this.#saidSilent = undefined;
    tenure?.begin(sentAtMs, this.#deps.recordsSeen?.(revision) ?? Promise.resolve());
    await discovery.register({
      id: `${host.id}.${service}`,
      service,
      address: host.address,
      port: 0,
      ports: {},
      state: 'up',
      host: host.id,
      createdAt: host.registeredAt,
      metadata: { name: host.name, version: host.version },
    });
  }

  async #tellSilent(lease: string): Promise<void> {
    const { store, silent = () => [] } = this.#deps;
    const value: HostSilent = { hosts: [...silent()] };
    const hosts = value.hosts.join();
    const said = this.#saidSilent;
    if (said?.lease === lease ? said.hosts === hosts : hosts === '') return;
    const key = `${hostSilentPrefix}${this.#config.hostId}`;
    const operation = hosts === '' ? { delete: key } : { put: key, value, lease };
    await store.txn({ compare: [], operations: [operation] });
    this.#saidSilent = { hosts, lease };
  }

  async #tellLoad(lease: string): Promise<void> {
    const { store, clock, load } = this.#deps;
    if (!load) return;
    const value: HostLoad = { busyPercent: load.busyPercent() };
    const atMs = clock.monotonicMs();
    if (this.#said?.lease === lease) {
      if (atMs - this.#said.atMs < loadEveryMs) return;
      if (Math.abs(value.busyPercent - this.#said.busyPercent) < loadStepPercent) return;
    }
    const put = `${hostLoadPrefix}${this.#config.hostId}`;
    await store.txn({ compare: [], operations: [{ put, value, lease }] });
    this.#said = { ...value, atMs, lease };
  }

  /** Whoever is removed keeps the lease, and loses what stood under it. */
  async #isKept(lease: string): Promise<boolean> {
    if (!(await this.#keepAlive(lease))) return false;
    return (await this.#deps.store.get(hostAliveKey(this.#config.hostId))) !== undefined;
  }

  async #keepAlive(lease: string): Promise<boolean> {
    try {
      await this.#deps.store.keepAlive(lease);
      return true;
    } catch (error) {
      if (hasCode(error, 'store.leaseNotFound')) return false;
      throw error;
    }
  }

  async #describe(): Promise<Host> {
    const { store, runtime, clock } = this.#deps;
    const { hostId, name, address, version, memoryReserveBytes } = this.#config;
    const [info, known] = await Promise.all([runtime.info(), store.get<Host>(hostKey(hostId))]);
    return {
      id: hostId,
      name,
      address,
      engineVersion: info.version,
      bootId: this.#bootId,
      version,
      memoryBytes: Math.max(0, info.memoryBytes - memoryReserveBytes),
      cpuMillis: info.cpus * 1000,
      registeredAt: known?.value.registeredAt ?? clock.now(),
    };
  }
}

/** `unknown` where the kernel does not say: the machine is still usable. */
async function readBootId(): Promise<string> {
  try {
    return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'EACCES')) return 'unknown';
    throw error;
  }
}
