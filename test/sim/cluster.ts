// Two to five machines with ways between them that are cut in each direction, daemons that stand still, clocks that are
// minutes off and go at different speeds, messages that come late or twice, and a store that is restored from a backup.

import type { Random } from '#core/random';
import { aMachine, type Deeds, later } from './chaos.ts';
import type { Fault } from './faults.ts';
import { fastestRate, type Machine, type MachinePlan } from './machine.ts';
import type { Simulation } from './simulation.ts';

/** Where a store is that is on none of the machines: what etcd is to them. */
export const outside = 'outside';

const mostMachines = 5;
const longestSkewMs = 300_000;
const faultKinds: readonly Fault[] = ['refuse', 'lose', 'slow', 'late', 'repeat'];
/** Longer than a lease and the grace together, now and then. */
const longestFreezeMs = 40_000;
const shortPauseMs = 3000;
/** Share of the runs in which somebody restores a backup. */
const restoredShare = 0.15;

export function clusterPlans(random: Random): MachinePlan[] {
  const count = 2 + Math.floor(random() * (mostMachines - 1));
  const isStoreOnFirst = random() < 0.6;
  return Array.from({ length: count }, (_, place) => ({
    id: `h${place + 1}`,
    address: `10.1.1.${place + 1}`,
    hasStore: isStoreOnFirst && place === 0,
    hasPlatform: true,
    skewMs: random() < 0.5 ? 0 : Math.floor((2 * random() - 1) * longestSkewMs),
    rate: random() < 0.5 ? 1 : 1 + (2 * random() - 1) * (fastestRate - 1),
    faultKinds,
  }));
}

export function mayRestore(random: Random): boolean {
  return random() < restoredShare;
}

export function clusterDeeds(sim: Simulation, isRestored: boolean): Deeds {
  return [
    [3, () => freeze(sim, sim.random() * shortPauseMs)],
    [2, () => freeze(sim, sim.random() * longestFreezeMs)],
    [2, () => cutOneWay(sim)],
    [2, () => cutOff(sim)],
    [1, () => loseStore(sim)],
    [1, () => sim.backUp()],
    [isRestored ? 1 : 0, () => sim.restore()],
  ];
}

/** Not one that stands still already: who goes on is on again. */
function freeze(sim: Simulation, forMs: number): void {
  const machine = aMachine(sim);
  if (!machine.isUp || machine.isFrozen) return;
  sim.say(`${machine.id}: daemon stands still for ${Math.floor(forMs)} ms`);
  // Nobody hears of it, and what is sent to it waits.
  const heal = cutAround(sim, machine, ['from', 'to']);
  machine.freeze();
  sim.hearing.look();
  sim.clock.timer(forMs, () => {
    machine.thaw();
    heal();
    sim.hearing.look();
  });
}

function cutOneWay(sim: Simulation): void {
  const machine = aMachine(sim);
  const direction = sim.random() < 0.5 ? 'from' : 'to';
  sim.say(`${machine.id}: nothing goes ${direction} it`);
  later(sim, cutAround(sim, machine, [direction]));
}

function cutOff(sim: Simulation): void {
  const machine = aMachine(sim);
  sim.say(`${machine.id}: is cut off`);
  later(sim, cutAround(sim, machine, ['from', 'to']));
}

function cutAround(
  { links, machines }: Simulation,
  { id }: Machine,
  directions: readonly ('from' | 'to')[],
): () => void {
  const others = [outside, ...machines.map((machine) => machine.id)].filter((one) => one !== id);
  const heals = others.flatMap((other) =>
    directions.map((direction) =>
      direction === 'from' ? links.cut(id, other) : links.cut(other, id),
    ),
  );
  return () => {
    for (const heal of heals) heal();
  };
}

/** One outside loses its quorum; one on a machine shares what befalls that. */
function loseStore(sim: Simulation): void {
  if (sim.house.serving?.at !== outside) return;
  sim.say('the store is away');
  sim.closeOutside();
  later(sim, () => sim.openOutside());
}
