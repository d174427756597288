// One simulated life of a cluster, replayed from its seed: a time of faults and busy users, then calm.
// Invariants are looked at all the time; in the calm everything must become what was asked for.

import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { type Random, seededRandom } from '#core/random';
import { type JobStatus, statusPrefix } from '#layer0/host/wire';
import { memberKey, memberPrefix, removedKey, removedPrefix } from '#layer0/membership/wire';
import { appNetworkPrefix, gatewayHolderPrefix, jobAddressKey } from '#layer0/network/wire';
import type { ServiceDecisions } from '#layer0/scheduler/index';
import { type Job, jobPrefix } from '#layer0/scheduler/wire';
import type { Compare } from '#layer0/store/client';
import { type Deployment, deploymentRoot, eventPrefix } from '#layer1/controller/wire';
import type { Behaviour } from '../../src/layer0/host/runtime/fake.ts';
import { LocalStore } from '../../src/layer0/store/local-store.ts';
import { Chaos } from './chaos.ts';
import { clusterDeeds, clusterPlans, mayRestore, outside } from './cluster.ts';
import { unsettled } from './convergence.ts';
import { Hearing } from './hearing.ts';
import { Broken, Invariants } from './invariants.ts';
import { type Backup, KeptLedger } from './kept-ledger.ts';
import { Life } from './life.ts';
import { Links } from './links.ts';
import { badImageName, Machine, type MachinePlan, type MachineWorld } from './machine.ts';
import { Operators } from './operators.ts';
import { Deployments } from './platform.ts';
import type { StoreHouse } from './store-door.ts';
import { Trace } from './trace.ts';
import { Users } from './users.ts';

/** How long faults go on, at least and at most. */
const chaosMs = { min: 20_000, max: 90_000 };
/** Calm that must be enough for everything to settle: the longest back-off and some. */
const calmMs = 300_000;
const calmStepMs = 1000;

export interface SimulationOptions {
  /** Called with each line of the trace. */
  onLine?: (line: string) => void;
  /** Two to five machines, and all that can happen between them. */
  isCluster?: boolean;
  /** Of a cluster: operators drain and take out machines, and some processes are singletons. */
  isOperated?: boolean;
  /** Guards taken out, to show what they are for. */
  without?: {
    decisions?: Partial<ServiceDecisions>;
    compares?: (compare: Compare) => boolean;
    /** A stream of news that has a gap breaks. */
    breaks?: true;
  };
}

type Without = NonNullable<SimulationOptions['without']>;

export interface SimulationResult {
  seed: number;
  digest: string;
  lines: number;
  /** Simulated, milliseconds. */
  durationMs: number;
  failure?: { message: string; last: string[] };
}

export async function simulate(
  seed: number,
  options: SimulationOptions = {},
): Promise<SimulationResult> {
  const simulation = new Simulation(seed, options);
  return await simulation.run();
}

export class Simulation {
  readonly seed: number;
  readonly clock = new FakeClock(1_700_000_000_000);
  readonly random: Random;
  ledger: KeptLedger;
  readonly house: StoreHouse;
  readonly links = new Links();
  readonly hearing = new Hearing(this.links, this.clock, () => this.house.serving?.at);
  readonly machines: Machine[];
  readonly trace: Trace;
  wallOffsetMs = 0;
  /** No faults and no new trouble from here on. */
  isCalm = false;
  readonly #startMs: number;
  readonly #invariants: Invariants;
  readonly isCluster: boolean;
  readonly isOperated: boolean;
  #broken: Broken | undefined;
  #backups: Backup[] = [];
  #restores = 0;

  constructor(
    seed: number,
    { onLine, without, isCluster = false, isOperated = false }: SimulationOptions,
  ) {
    this.seed = seed;
    this.isCluster = isCluster;
    this.isOperated = isOperated;
    this.random = seededRandom(seed);
    this.#startMs = this.clock.monotonicMs();
    this.trace = new Trace(() => this.clock.monotonicMs() - this.#startMs, onLine);
    this.ledger = this.#watched(new KeptLedger(`inc-${seed}`));
    this.house = {
      serving: undefined,
      ...(without?.compares ? { ignores: without.compares } : {}),
      ...(without?.breaks ? { losesNews: true } : {}),
      // Etcd knows certificates, and nothing of members.
      refuses: (place) => this.house.serving?.at !== outside && this.isRemoved(place),
    };
    this.#invariants = new Invariants(this, () => this.clock.monotonicMs());
    const world = this.#machineWorld(without);
    const plans = isCluster ? clusterPlans(this.random) : fewPlans(this.random);
    this.machines = plans.map((plan) => new Machine(plan, world));
    this.hearing.follow(this.machines);
    if (isCluster) this.#admit();
    if (!plans.some(({ hasStore }) => hasStore)) this.openOutside();
  }

  /** All have joined before the run begins. */
  #admit(): void {
    const revision = this.ledger.revision() + 1;
    const changes = this.machines.map(({ plan }) => {
      const { id: hostId, address } = plan;
      const value = { hostId, name: hostId, address, port: 7443, admittedAt: 0 };
      const key = memberKey(hostId);
      return { key, after: { key, value, createRevision: revision, modRevision: revision } };
    });
    this.ledger.append({ revision, changes });
  }

  isRemoved(id: string): boolean {
    return this.ledger.read(removedKey(id)) !== undefined;
  }

  isWiped(id: string): boolean {
    return this.machines.some((machine) => machine.id === id && machine.isWiped);
  }

  /** `script/down` on a machine that was taken out. */
  wipe(id: string): void {
    const machine = this.machines.find((one) => one.id === id);
    if (!machine || machine.isWiped || !this.isRemoved(id)) return;
    this.say(`${id}: Gantry is taken off it`);
    machine.wipe();
  }

  #watched(ledger: KeptLedger): KeptLedger {
    ledger.onCommit = (commit) => {
      for (const change of commit.changes) {
        this.#tell(change);
        this.#disown(change);
        if (change.key.startsWith(memberPrefix))
          for (const machine of this.machines) queueMicrotask(() => machine.membersChanged());
      }
      this.#judge(() => this.#invariants.onCommit(commit));
    };
    return ledger;
  }

  #disown({ key, after }: { key: string; after?: unknown }): void {
    if (!key.startsWith(removedPrefix) || !after) return;
    const machine = this.machines.find(({ id }) => removedKey(id) === key);
    if (this.house.serving?.at !== outside) queueMicrotask(() => machine?.disown());
  }

  /** A store on none of the machines. */
  openOutside(): void {
    if (this.house.serving?.life.isAlive) return;
    const life = new Life(this.clock, () => this.wallOffsetMs);
    const { clock } = life;
    const defer = (commit: () => void) =>
      queueMicrotask(() => {
        if (life.isAlive) commit();
      });
    const { ledger, random } = this;
    const store = new LocalStore({ ledger, clock, random, log: silentLog, defer });
    this.house.serving = { store, life, at: outside };
    this.hearing.storeIsBack();
  }

  closeOutside(): void {
    this.house.serving?.life.kill();
  }

  backUp(): void {
    this.#backups.push(this.ledger.copy());
  }

  /** Whoever has the store begins again with what an earlier moment knew. */
  restore(): void {
    // A network that was given since would be given to another app while containers are on it, and a machine that carries one
    // since would get another gateway.
    const prefixes = [appNetworkPrefix, jobAddressKey(gatewayHolderPrefix)];
    const networks = prefixes.flatMap((prefix) =>
      this.ledger.readRange({ prefix }).map(({ key }) => key),
    );
    const backup = this.#backups.findLast(({ entries }) => {
      const known = new Set(entries.map(({ key }) => key));
      return networks.every((key) => known.has(key));
    });
    if (!backup) return;
    this.say(`the store of revision ${backup.revision} is restored`);
    const holder = this.machines.find(({ plan }) => plan.hasStore);
    holder?.kill();
    this.house.serving?.life.kill();
    const incarnation = `inc-${this.seed}-${++this.#restores}`;
    this.ledger = this.#watched(KeptLedger.restored(backup, incarnation));
    this.#invariants.restored();
    if (holder) holder.boot();
    else this.openOutside();
  }

  /** All ways are open, everybody goes on, the store is there. */
  heal(): void {
    this.links.healAll();
    for (const machine of this.machines) machine.thaw();
    this.hearing.look();
    if (!this.machines.some(({ plan }) => plan.hasStore)) this.openOutside();
  }

  /** Sets the wall clocks of all machines by so much. */
  setWall(byMs: number): void {
    this.#invariants.wallChanges();
    this.wallOffsetMs += byMs;
  }

  async run(): Promise<SimulationResult> {
    try {
      const users = new Users(this);
      const isRestored = this.isCluster && mayRestore(this.random);
      const operators = this.isOperated ? new Operators(this, { mayWipe: !isRestored }) : undefined;
      const deeds = this.isCluster ? clusterDeeds(this, isRestored) : [];
      const chaos = new Chaos(this, users, [...deeds, ...(operators?.deeds() ?? [])]);
      for (const machine of this.machines) machine.boot();
      await this.pass(1000);
      const endMs = chaosMs.min + this.random() * (chaosMs.max - chaosMs.min);
      while (this.elapsedMs() < endMs) await chaos.step();
      await chaos.end();
      await operators?.end();
      await this.#settle();
      return this.#result();
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      return { ...this.#result(), failure: { message: error.message, last: this.trace.last() } };
    } finally {
      for (const machine of this.machines) machine.kill();
    }
  }

  elapsedMs(): number {
    return this.clock.monotonicMs() - this.#startMs;
  }

  say(text: string): void {
    this.trace.say(text);
  }

  /** Lets time go by; throws what an invariant found meanwhile. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    if (this.#broken) throw this.#broken;
  }

  async #settle(): Promise<void> {
    this.isCalm = true;
    this.say('calm');
    const endMs = this.elapsedMs() + calmMs;
    let open: string[] = [];
    for (let settledSteps = 0; settledSteps < 2; ) {
      await this.pass(calmStepMs);
      open = await unsettled(this);
      settledSteps = open.length === 0 ? settledSteps + 1 : 0;
      if (this.elapsedMs() > endMs)
        throw new Broken(`not settled after ${calmMs / 1000} s of calm: ${open.join('; ')}`);
    }
  }

  #result(): SimulationResult {
    const { seed, trace } = this;
    return { seed, digest: trace.digest(), lines: trace.lines, durationMs: this.elapsedMs() };
  }

  #machineWorld({ decisions }: Without = {}): MachineWorld {
    const sim = this;
    return {
      clock: this.clock,
      get ledger() {
        return sim.ledger;
      },
      house: this.house,
      ...(this.isCluster ? { links: this.links } : {}),
      others: ({ id }) => (this.isCluster ? this.#membersBut(id) : new Map()),
      answers: ({ id }, to) =>
        this.links.isOpen(id, to) &&
        this.links.isOpen(to, id) &&
        this.machines.some((machine) => machine.id === to && machine.hasPower),
      random: this.random,
      script: ({ image }) => this.#behaviour(image),
      wallOffset: () => this.wallOffsetMs,
      say: (text) => this.say(text),
      onStore: () => this.hearing.storeIsBack(),
      watchEngine: (machine) => ({
        started: async (id) => {
          this.say(`${machine.id} started ${id.slice(0, 8)}`);
          await this.#judgeSoon(() => this.#invariants.started(machine, id));
        },
        signalled: (id, signal) => this.#hurt(machine, id, signal),
        removed: (id) => this.#hurt(machine, id, 'removal'),
      }),
      platform: (deps) => new Deployments(deps),
      ...(decisions ? { decisions } : {}),
    };
  }

  #membersBut(id: string): ReadonlyMap<string, string> {
    const others = this.machines.filter(
      (machine) => machine.id !== id && this.ledger.read(memberKey(machine.id)),
    );
    return new Map(others.map(({ plan }) => [plan.id, plan.address]));
  }

  async #hurt(machine: Machine, id: string, how: string): Promise<void> {
    this.say(`${machine.id} ${how} ${id.slice(0, 8)}`);
    await this.#judgeSoon(() => this.#invariants.hurt(machine, id, how));
  }

  /** How the next container behaves: well, in the calm. */
  #behaviour(image: string): Behaviour {
    if (image === badImageName)
      return { startMs: 50, neverHealthy: true, runForMs: 300, exitCode: 1 };
    const roll = this.isCalm ? 1 : this.random();
    const startMs = this.isCalm ? 50 : Math.floor(this.random() ** 4 * 4000);
    const stopMs = Math.floor(this.random() * 500);
    if (roll < 0.05) return { startMs, runForMs: Math.floor(this.random() * 5000), exitCode: 1 };
    if (roll < 0.08) return { startMs, neverHealthy: true, stopMs };
    if (roll < 0.11) return { startMs, startError: 'exec format error' };
    if (roll < 0.15) return { startMs, stopMs, ignoresTerm: true };
    return { startMs, stopMs, healthyAfterMs: Math.floor(this.random() * 1500) };
  }

  #tell({ key, after }: { key: string; after?: { value: unknown } }): void {
    if (key.startsWith(jobPrefix)) {
      const job = after?.value as Job | undefined;
      this.say(job ? `${job.id} ${job.desired} on ${job.host ?? job.pendingReason}` : `- ${key}`);
    } else if (key.startsWith(statusPrefix)) {
      const status = after?.value as JobStatus | undefined;
      if (status)
        this.say(`${status.jobId} is ${status.attempt}/${status.state} ${status.isHealthy}`);
    } else if (key.startsWith(deploymentRoot)) {
      const deployment = after?.value as Deployment | undefined;
      this.say(`${key} ${deployment?.state ?? 'is gone'} ${deployment?.reason ?? ''}`);
    } else if (!key.startsWith('discovery/') && !key.startsWith(eventPrefix))
      this.say(`${after ? '+' : '-'} ${key}`);
  }

  #judge(look: () => void): void {
    try {
      look();
    } catch (error) {
      this.#note(error);
    }
  }

  async #judgeSoon(look: () => Promise<void>): Promise<void> {
    try {
      await look();
    } catch (error) {
      this.#note(error);
    }
  }

  /** Kept until the driver looks: the code under test must not see it. */
  #note(error: unknown): void {
    if (!(error instanceof Broken)) throw error;
    this.say(`BROKEN ${error.message}`);
    this.#broken ??= error;
  }
}

/** One to three, the first one with the store, all clocks right. */
function fewPlans(random: Random): MachinePlan[] {
  const count = 1 + Math.floor(random() * 3);
  return Array.from({ length: count }, (_, place) => ({
    id: `h${place + 1}`,
    address: '10.1.1.1',
    skewMs: 0,
    rate: 1,
    hasStore: place === 0,
    hasPlatform: place === 0,
  }));
}
