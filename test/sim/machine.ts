// One machine: an engine with its containers, and the daemon that comes and goes. Boots the production components
// in the order of the real daemon; only the edges of the process are stand-ins.

import type { Component } from '#core/component';
import type { FakeClock } from '#core/fake-clock';
import { newId } from '#core/ids';
import { silentLog } from '#core/log';
import { type Random, seededRandom } from '#core/random';
import { createDiscovery, type DiscoveryClient } from '#layer0/discovery/client';
import { createFailureDetector, type FailureDetector } from '#layer0/failure-detector/index';
import { createHost } from '#layer0/host/index';
import { createNetwork } from '#layer0/network/client';
import { defaultSchedulerConfig, type SchedulerConfig } from '#layer0/scheduler/config';
import { createScheduler, type ServiceDecisions } from '#layer0/scheduler/index';
import type { Store } from '#layer0/store/client';
import {
  createFakeRuntime,
  type FakeRuntime,
  type Script,
} from '../../src/layer0/host/runtime/fake.ts';
import { LocalStore } from '../../src/layer0/store/local-store.ts';
import { type EngineWatch, engineDoor } from './engine-door.ts';
import { type Fault, Faults } from './faults.ts';
import type { KeptLedger } from './kept-ledger.ts';
import { Life } from './life.ts';
import type { Links } from './links.ts';
import { SingletonFence } from './singleton-fence.ts';
import { StoreDoor, type StoreHouse } from './store-door.ts';
import { Tunnels } from './tunnels.ts';

export const clusterId = 'cluster-sim';
export const imageName = 'sim/app:1';
/** How fast a clock goes at most: the fastest of a cluster. */
export const fastestRate = 1.05;
/** Its processes end soon, and are never healthy before. */
export const badImageName = 'sim/bad:1';
/** Short, so that a few simulated minutes see it happen. */
export const schedulerConfig: SchedulerConfig = {
  ...defaultSchedulerConfig,
  hostLossGraceMs: 15_000,
};

export interface MachineWorld {
  clock: FakeClock;
  readonly ledger: KeptLedger;
  house: StoreHouse;
  random: Random;
  script: Script;
  wallOffset(): number;
  watchEngine(machine: Machine): EngineWatch;
  say(text: string): void;
  /** A machine's store is there again. */
  onStore(): void;
  decisions?: Partial<ServiceDecisions>;
  /** More parts of the daemons of those machines that have them. */
  platform(deps: PlatformDeps): Component;
  /** Of a cluster: the ways between machines, and the addresses of the others. */
  links?: Links;
  others(machine: Machine): ReadonlyMap<string, string>;
  /** Whether a packet from one machine is answered by the kernel of the other. */
  answers(from: Machine, to: string): boolean;
}

/** What one machine is. */
export interface MachinePlan {
  id: string;
  address: string;
  hasStore: boolean;
  hasPlatform: boolean;
  /** How far its wall clock is off, besides what all are. */
  skewMs: number;
  /** How fast its clocks go. */
  rate: number;
  faultKinds?: readonly Fault[];
}

export interface PlatformDeps {
  identity: string;
  store: Store;
  life: Life;
  random: Random;
}

const networkConfig = {
  cluster: clusterId,
  pool: '10.64.0.0/12',
  prefixLength: 26,
  mtu: 1450,
  domain: 'gantry',
};

export class Machine {
  readonly plan: MachinePlan;
  /** What its kernel has of tunnels. */
  readonly tunnels = new Tunnels();
  readonly runtime: FakeRuntime;
  readonly faults: Faults;
  readonly fence: SingletonFence;
  /** Gantry was taken off it. */
  isWiped = false;
  hasPower = false;
  readonly #world: MachineWorld;
  #life: Life | undefined;
  #parts: Component[] = [];
  #discovery: DiscoveryClient | undefined;
  #store: StoreDoor | undefined;
  readonly #memberWatches = new Set<() => void>();

  constructor(plan: MachinePlan, world: MachineWorld) {
    const { script, random } = world;
    this.plan = plan;
    this.#world = world;
    const { clock } = this.#newLife();
    this.faults = new Faults(random, () => world.clock.monotonicMs(), plan.faultKinds);
    this.runtime = createFakeRuntime({ clock, script });
    this.fence = new SingletonFence(this.runtime, clock);
    for (const name of [imageName, badImageName]) this.runtime.addImage({ id: name }, name);
  }

  get id(): string {
    return this.plan.id;
  }

  get isUp(): boolean {
    return this.#life?.isAlive ?? false;
  }

  get isFrozen(): boolean {
    return this.#life?.isFrozen ?? false;
  }

  /** What it believes that the time is. */
  get wallNow(): number {
    const { clock, wallOffset } = this.#world;
    return clock.now() + wallOffset() + this.plan.skewMs;
  }

  boot(): void {
    if (this.isUp || this.isWiped) return;
    this.hasPower = true;
    const { house, links, random, onStore } = this.#world;
    const life = this.#newLife();
    this.#life = life;
    const own = seededRandom(Math.floor(random() * 2 ** 32));
    if (this.plan.hasStore) {
      house.serving = { store: this.#openStore(life, own), life, at: this.id };
      onStore();
    }
    const place = links && { id: this.id, links };
    const store = new StoreDoor(house, life, this.faults, place);
    this.#store = store;
    this.#parts = this.#createParts(store, life, own);
    void this.#start(this.#parts);
  }

  /** kill -9: nothing of the daemon runs on, everything else does. */
  kill(): void {
    this.#life?.kill();
  }

  /** SIGSTOP and SIGCONT of the daemon. */
  freeze(): void {
    this.#life?.freeze();
  }

  thaw(): void {
    this.#life?.thaw();
  }

  powerOff(): void {
    this.hasPower = false;
    this.kill();
    this.runtime.powerOff();
    this.tunnels.forget();
    this.fence.powerOff();
  }

  wipe(): void {
    this.isWiped = true;
    this.powerOff();
  }

  /** Somebody joined or was taken out. */
  membersChanged(): void {
    for (const callback of this.#memberWatches) callback();
  }

  /** The other members have heard that it is none any more. */
  disown(): void {
    this.#store?.endStreams();
  }

  #newLife(): Life {
    const { clock, wallOffset } = this.#world;
    const { skewMs, rate } = this.plan;
    return new Life(clock, () => wallOffset() + skewMs, rate);
  }

  /** SIGTERM: the daemon ends what it can, then it is gone. */
  async shutDown(): Promise<void> {
    const { clock } = this.#world;
    const life = this.#life;
    const limit = clock.sleep(5000);
    await Promise.race([limit, this.#stop()]);
    life?.kill();
  }

  async #start(parts: Component[]): Promise<void> {
    for (const part of parts) await part.start();
  }

  async #stop(): Promise<void> {
    // Of this life: one that was killed while it stopped leaves the next one's alone.
    const discovery = this.#discovery;
    for (const part of this.#parts.toReversed()) await part.stop();
    await discovery?.abandon();
  }

  #openStore(life: Life, random: Random): Store {
    const { ledger } = this.#world;
    const defer = (commit: () => void) =>
      queueMicrotask(() => {
        if (life.isAlive) commit();
      });
    return new LocalStore({ ledger, clock: life.clock, random, log: silentLog, defer });
  }

  #createParts(store: Store, life: Life, random: Random): Component[] {
    const { watchEngine, decisions, platform } = this.#world;
    const { runtime, faults } = this;
    const engine = engineDoor({ runtime, life, faults, watch: watchEngine(this) });
    const deps = { store, clock: life.clock, random, log: silentLog };
    const discovery = createDiscovery(deps);
    this.#discovery = discovery;
    const firewall = {
      ensure: async () => {},
      refused: async () => [],
      remove: async () => {},
      status: () => ({}),
    };
    const members = { overlay: this.tunnels, others: () => this.#world.others(this) };
    const { id: host, address } = this.plan;
    const network = createNetwork(
      { ...deps, ...members, runtime: engine, firewall, routes: async () => [] },
      { ...networkConfig, host, address },
    );
    const failureDetector = this.#createFailureDetector(life);
    const agent = createHost(
      {
        ...deps,
        runtime: engine,
        network,
        discovery,
        probe: async ({ container }) =>
          runtime.isHealthy(container) ? undefined : 'connection refused',
        isPortFree: async () => true,
        bootId: async () => `boot-${this.id}`,
        sealKey: Buffer.alloc(32),
        tenureBook: this.fence,
        isAlone: () => this.#world.others(this).size === 0,
        silent: () => failureDetector.silent(),
      },
      this.#hostConfig(),
    );
    failureDetector.onChange(() => agent.tellSilence());
    const newJobId = () =>
      newId(
        'job',
        Uint8Array.from({ length: 16 }, () => random() * 256),
      );
    const scheduler = createScheduler(
      { ...deps, identity: this.id, newJobId, ...(decisions ? { decisions } : {}) },
      schedulerConfig,
    );
    const more = this.plan.hasPlatform ? [platform({ store, life, random, identity: host })] : [];
    return [network, agent, failureDetector, scheduler, ...more];
  }

  #createFailureDetector({ clock }: Life): FailureDetector {
    const world = this.#world;
    const watches = this.#memberWatches;
    watches.clear();
    return createFailureDetector(
      {
        peers: () =>
          [...world.others(this)].map(([hostId, address]) => ({ hostId, address, port: 7443 })),
        watchPeers: (callback) => {
          watches.add(callback);
          return () => watches.delete(callback);
        },
        clock,
        log: silentLog,
        ask: async ({ hostId }, withinMs) => {
          if (world.answers(this, hostId)) return true;
          await clock.sleep(withinMs);
          return world.answers(this, hostId);
        },
      },
      { hostId: this.id, hostSilentMs: 4_500 },
    );
  }

  #hostConfig() {
    const { id } = this;
    return {
      hostId: id,
      clusterId,
      name: id,
      address: '127.0.0.1',
      home: '/sim',
      version: '0.0.0',
      portMin: 21_000,
      portMax: 21_999,
      memoryReserveBytes: 512 * 1024 * 1024,
      hostLeaseMs: 10_000,
    };
  }
}
