// One round of one contender: everything that is asked of it, from its first replica to its last.

import type { Machine } from '../../test/cluster/machine.ts';
import type { Contender, FigureName } from './contender.ts';
import { running, untilRunning } from './fleet.ts';

export interface Size {
  replicas: number;
  /** Of the service that is updated. */
  updated: number;
  rounds: number;
}

/** Seconds, or megabytes. */
export type Samples = Partial<Record<FigureName, number[]>>;

export async function measureRound(contender: Contender, size: Size): Promise<Samples> {
  try {
    await contender.begin();
    // Every machine has had the image and a network once.
    await scaled(contender, contender.machines.length);
    await scaled(contender, 0);
    const samples: Samples = {};
    if (contender.figures.includes('start'))
      Object.assign(samples, await replicas(contender, size));
    await scaled(contender, size.updated);
    samples.update = [await updated(contender, size.updated)];
    await scaled(contender, 0);
    return samples;
  } finally {
    await contender.end();
  }
}

/** All but the update. Replicas are started three times, since one that was lost is not moved back. */
async function replicas(contender: Contender, { replicas: count }: Size): Promise<Samples> {
  const { figures, machines } = contender;
  const [first, last] = [machines[0], machines.at(-1)];
  if (!first || !last || first === last) throw new Error('more than one machine is needed');
  const start = [await scaled(contender, count)];
  const samples: Samples = { start };
  if (figures.includes('control')) samples.control = [await contender.megabytes(first)];
  if (figures.includes('worker')) samples.worker = [await contender.megabytes(last)];
  samples.crash = [await crashed(contender, count)];
  for (const how of ['power', 'cable'] as const) {
    samples[how] = [await lost(contender, last, count, how)];
    await scaled(contender, 0);
    if (how === 'power') start.push(await scaled(contender, count));
  }
  return samples;
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

async function updated(contender: Contender, count: number): Promise<number> {
  const startMs = performance.now();
  const isNew = await contender.update();
  const isDone = (all: Parameters<typeof isNew>[0][]) => all.length === count && all.every(isNew);
  return untilRunning(
    contender,
    `${contender.name} to update ${count} replicas`,
    (all) => isDone([...all]),
    startMs,
  );
}
