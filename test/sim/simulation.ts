// One simulated life of a cluster, replayed from its seed: a time of faults and busy users, then calm.
// Invariants are looked at all the time; in the calm everything must become what was asked for.

import { FakeClock } from '#core/fake-clock';
import { type Random, seededRandom } from '#core/random';
import { type JobStatus, statusPrefix } from '#layer0/host/wire';
import type { ServiceDecisions } from '#layer0/scheduler/index';
import { type Job, jobPrefix } from '#layer0/scheduler/wire';
import type { Compare } from '#layer0/store/client';
import { type Deployment, deploymentRoot, eventPrefix } from '#layer1/controller/wire';
import type { Behaviour } from '../../src/layer0/host/runtime/fake.ts';
import { Chaos } from './chaos.ts';
import { unsettled } from './convergence.ts';
import { Broken, Invariants } from './invariants.ts';
import { KeptLedger } from './kept-ledger.ts';
import { badImageName, Machine, type MachineWorld } from './machine.ts';
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
  /** Guards taken out, to show what they are for. */
  without?: { decisions?: Partial<ServiceDecisions>; compares?: (compare: Compare) => boolean };
}

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
  readonly ledger: KeptLedger;
  readonly house: StoreHouse;
  readonly machines: Machine[];
  readonly trace: Trace;
  wallOffsetMs = 0;
  /** No faults and no new trouble from here on. */
  isCalm = false;
  readonly #startMs: number;
  readonly #invariants: Invariants;
  #broken: Broken | undefined;

  constructor(seed: number, { onLine, without }: SimulationOptions) {
    this.seed = seed;
    this.random = seededRandom(seed);
    this.#startMs = this.clock.monotonicMs();
    this.trace = new Trace(() => this.clock.monotonicMs() - this.#startMs, onLine);
    this.ledger = new KeptLedger(`inc-${seed}`);
    this.house = {
      serving: undefined,
      ...(without?.compares ? { ignores: without.compares } : {}),
    };
    this.#invariants = new Invariants({
      ledger: this.ledger,
      machines: () => this.machines,
      now: () => this.clock.monotonicMs(),
      wallNow: () => this.clock.now() + this.wallOffsetMs,
    });
    this.ledger.onCommit = (commit) => {
      for (const change of commit.changes) this.#tell(change);
      this.#judge(() => this.#invariants.onCommit(commit));
    };
    const world = this.#machineWorld(without?.decisions);
    const count = 1 + Math.floor(this.random() * 3);
    this.machines = Array.from(
      { length: count },
      (_, place) => new Machine(`h${place + 1}`, place === 0, world),
    );
  }

  /** Sets the wall clocks of all machines by so much. */
  setWall(byMs: number): void {
    this.#invariants.wallChanges();
    this.wallOffsetMs += byMs;
  }

  async run(): Promise<SimulationResult> {
    try {
      const users = new Users(this);
      const chaos = new Chaos(this, users);
      for (const machine of this.machines) machine.boot();
      await this.pass(1000);
      const endMs = chaosMs.min + this.random() * (chaosMs.max - chaosMs.min);
      while (this.elapsedMs() < endMs) await chaos.step();
      await chaos.end();
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

  #machineWorld(decisions: Partial<ServiceDecisions> | undefined): MachineWorld {
    return {
      clock: this.clock,
      ledger: this.ledger,
      house: this.house,
      random: this.random,
      script: ({ image }) => this.#behaviour(image),
      wallOffset: () => this.wallOffsetMs,
      say: (text) => this.say(text),
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
