// Everything that goes wrong, one deed at a time, drawn from the seed.

import { listRunning } from './invariants.ts';
import type { Machine } from './machine.ts';
import type { Simulation } from './simulation.ts';
import type { Users } from './users.ts';

/** Longest time between two deeds. */
const longestPauseMs = 4000;
/** Longest time that something stays away. */
const longestAwayMs = 25_000;
/** How far wall clocks are set, at most, back or forward. */
const longestJumpMs = 3_600_000;

export type Deed = () => Promise<void> | void;
/** How often each is drawn, against the others. */
export type Deeds = [weight: number, deed: Deed][];

export class Chaos {
  readonly #sim: Simulation;
  readonly #deeds: Deeds;
  readonly #users: Users;

  constructor(sim: Simulation, users: Users, more: Deeds) {
    this.#sim = sim;
    this.#users = users;
    this.#deeds = [
      [10, () => users.act()],
      [2, () => this.#killDaemon()],
      [1, () => this.#shutDown()],
      [1, () => this.#crashEngine()],
      [1, () => this.#powerOff()],
      [3, () => this.#crashContainer()],
      [2, () => this.#disturb()],
      [1, () => this.#jumpClock()],
      [1, () => this.#depose()],
      [1, () => this.#compact()],
      ...more,
    ];
  }

  async step(): Promise<void> {
    const { random } = this.#sim;
    await this.#sim.pass(Math.floor(random() ** 2 * longestPauseMs));
    const total = this.#deeds.reduce((sum, [weight]) => sum + weight, 0);
    let roll = random() * total;
    for (const [weight, deed] of this.#deeds) {
      roll -= weight;
      if (roll < 0) return void (await this.#within(deed));
    }
  }

  /** Everything is repaired. */
  async end(): Promise<void> {
    this.#sim.heal();
    for (const machine of this.#sim.machines) {
      machine.faults.isOn = false;
      machine.runtime.restart();
      machine.boot();
    }
    await this.#users.act();
  }

  /** A deed that waits for something gets time to go by meanwhile. */
  async #within(deed: Deed): Promise<void> {
    let isDone = false;
    const done = Promise.resolve(deed()).finally(() => {
      isDone = true;
    });
    while (!isDone) await this.#sim.pass(10);
    await done;
  }

  #killDaemon(): void {
    const machine = aMachine(this.#sim);
    if (!machine.isUp) return;
    this.#sim.say(`${machine.id}: daemon is killed`);
    machine.kill();
    later(this.#sim, () => machine.boot());
  }

  async #shutDown(): Promise<void> {
    const machine = aMachine(this.#sim);
    if (!machine.isUp) return;
    this.#sim.say(`${machine.id}: daemon is asked to end`);
    await machine.shutDown();
    later(this.#sim, () => machine.boot());
  }

  #crashEngine(): void {
    const machine = aMachine(this.#sim);
    this.#sim.say(`${machine.id}: engine dies`);
    machine.runtime.crash();
    later(this.#sim, () => machine.runtime.restart());
  }

  #powerOff(): void {
    const machine = aMachine(this.#sim);
    this.#sim.say(`${machine.id}: loses power`);
    machine.powerOff();
    later(this.#sim, () => {
      machine.runtime.restart();
      machine.boot();
    });
  }

  async #crashContainer(): Promise<void> {
    const machine = aMachine(this.#sim);
    const running = await listRunning(machine);
    const victim = running[Math.floor(this.#sim.random() * running.length)];
    if (!victim) return;
    const isMemory = this.#sim.random() < 0.3;
    this.#sim.say(`${machine.id}: ${victim.id.slice(0, 8)} crashes`);
    if (isMemory) machine.runtime.killByMemory(victim.id);
    else machine.runtime.exit(victim.id, 1);
  }

  #disturb(): void {
    const machine = aMachine(this.#sim);
    this.#sim.say(`${machine.id}: calls begin to fail`);
    machine.faults.isOn = true;
    later(this.#sim, () => {
      machine.faults.isOn = false;
    });
  }

  #jumpClock(): void {
    this.#sim.setWall(Math.floor(longestJumpMs * (2 * this.#sim.random() - 1)));
    this.#sim.say(`wall clocks are ${this.#sim.wallOffsetMs} ms off`);
  }

  /** Somebody takes the leadership away: what a lease that ran out does. */
  async #depose(): Promise<void> {
    const { serving } = this.#sim.house;
    if (!serving?.life.isAlive) return;
    const elections = this.#sim.ledger.readRange({ prefix: 'elections/' });
    const victim = elections[Math.floor(this.#sim.random() * elections.length)];
    if (!victim) return;
    this.#sim.say(`${victim.key} loses its leader`);
    await serving.store.txn({ compare: [], operations: [{ delete: victim.key }] });
  }

  /** History is cut: whoever lags behind must list again. */
  #compact(): void {
    const { ledger } = this.#sim;
    this.#sim.say('history is cut');
    ledger.compact(ledger.revision());
  }
}

export function aMachine({ machines, random }: Simulation): Machine {
  const machine = machines[Math.floor(random() * machines.length)];
  if (!machine) throw new Error('a cluster has at least one machine');
  return machine;
}

/** What was broken is repaired, after a while. */
export function later({ clock, random }: Simulation, deed: () => void): void {
  clock.timer(Math.floor(random() ** 2 * longestAwayMs), deed);
}
