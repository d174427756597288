// One round of one contender: everything that is asked of it, from its first replica to its last.

import type { Machine } from '../../test/cluster/machine.ts';
import { powerCycle } from '../platform/power.ts';
import type { Contender, FigureName } from './contender.ts';
import { NotReached, running, untilRunning } from './fleet.ts';

export interface Size {
  replicas: number;
  /** Of the service that is updated. */
  updated: number;
  rounds: number;
}

/** Seconds, or megabytes; not a number where it came to nothing. */
export type Samples = Partial<Record<FigureName, number[]>>;
type Keep = (figure: FigureName, value: number) => void;

/** Adds what it measures to `samples`, and shows it as it comes. */
export async function measureRound(
  contender: Contender,
  size: Size,
  samples: Samples,
): Promise<void> {
  const { figures, name } = contender;
  const keep: Keep = (figure, value) => {
    if (!figures.includes(figure)) return;
    samples[figure] = [...(samples[figure] ?? []), value];
    console.error(`${name}, ${figure}: ${value.toFixed(2)}`);
  };
  try {
    await contender.begin();
    // Every machine has had the image and a network once.
    await scaled(contender, contender.machines.length);
    await scaled(contender, 0);
    if (figures.includes('start')) await measureMany(contender, size, keep);
    await scaled(contender, size.updated);
    keep('update', await updated(contender, size.updated));
    await scaled(contender, 0);
    if (figures.includes('boot')) keep('boot', await booted(contender));
  } finally {
    await contender.end();
  }
}

/** What is asked of many replicas. They are started twice, since one that was lost is not moved back. */
async function measureMany(contender: Contender, { replicas }: Size, keep: Keep): Promise<void> {
  const { machines } = contender;
  const [first, last] = [machines[0], machines.at(-1)];
  if (!first || !last || first === last) throw new Error('more than one machine is needed');
  keep('start', await scaled(contender, replicas));
  keep('control', await contender.megabytes(first));
  keep('worker', await contender.megabytes(last));
  keep('crash', await crashed(contender, replicas));
  keep('power', await lost(contender, last, replicas, 'power'));
  await scaled(contender, 0);
  keep('start', await scaled(contender, replicas));
  keep('cable', await lost(contender, last, replicas, 'cable'));
  await scaled(contender, 0);
}

async function scaled(contender: Contender, count: number): Promise<number> {
  const startMs = performance.now();
  await contender.replicas(count);
  const isThere = (containers: readonly unknown[]) => containers.length === count;
  return untilRunning(contender, `${contender.name} to run ${count} replicas`, isThere, startMs);
}

async function crashed(contender: Contender, count: number): Promise<number> {
  const [victim] = await running(contender);
  if (!victim) throw new Error('nothing runs that could crash');
  const pid = await victim.machine.must(`docker inspect -f '{{.State.Pid}}' ${victim.Id}`);
  const startMs = performance.now();
  await victim.machine.must(`kill -9 ${pid.trim()}`);
  const isReplaced = (now: readonly { Id: string }[]) =>
    now.length === count && now.every(({ Id }) => Id !== victim.Id);
  return untilRunning(contender, `${contender.name} to replace what crashed`, isReplaced, startMs);
}

async function lost(
  contender: Contender,
  victim: Machine,
  count: number,
  how: 'power' | 'cable',
): Promise<number> {
  const { label, name } = contender;
  const machines = contender.machines.filter((machine) => machine !== victim);
  if ((await running({ machines: [victim], label })).length === 0) {
    console.error(`${name} has no replica on ${victim.name}: nothing is lost with it`);
    return Number.NaN;
  }
  const startMs = performance.now();
  await (how === 'power' ? victim.powerOff() : victim.cut());
  try {
    const isBack = (containers: readonly unknown[]) => containers.length >= count;
    const what = `${name} to have all replicas back without ${how}`;
    return await untilRunning({ machines, label }, what, isBack, startMs);
  } finally {
    await (how === 'power' ? victim.boot() : victim.heal());
    await contender.untilMember(victim);
    const isRight = (containers: readonly unknown[]) => containers.length === count;
    await untilRunning(contender, `${name} to have no replica too many`, isRight);
  }
}

/** From power on: what of Swarm starts is a part of its engine's start. */
async function booted(contender: Contender): Promise<number> {
  const { onMs } = await powerCycle(contender.machines);
  await contender.untilServes();
  const seconds = (performance.now() - onMs) / 1000;
  for (const machine of contender.machines) await contender.untilMember(machine);
  return seconds;
}

/** One that hangs on the way does not end the round. */
async function updated(contender: Contender, count: number): Promise<number> {
  const startMs = performance.now();
  const isNew = await contender.update();
  const isDone = (all: Parameters<typeof isNew>[0][]) => all.length === count && all.every(isNew);
  const what = `${contender.name} to update ${count} replicas`;
  try {
    return await untilRunning(contender, what, (all) => isDone([...all]), startMs);
  } catch (error) {
    if (!(error instanceof NotReached)) throw error;
    console.error(error.message);
    return Number.NaN;
  }
}
