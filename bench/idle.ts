// What the platform costs while nothing happens: memory (PSS) of every Gantry process of each machine, and processor time.
// Needs the kept platform, left alone for a while: `node test/cluster/run.ts --keep`; further machines that are kept count.

import { readFile } from 'node:fs/promises';
import { keptMachines } from '../test/cluster/bed.ts';
import type { Machine } from '../test/cluster/machine.ts';
import { Platform } from '../test/cluster/platform.ts';
import { describeParts, platformMemory } from './platform/memory.ts';
import type { BenchResult } from './result.ts';

const limitMegabytes = 300;
const limitWorkerMegabytes = 90;
const limitCorePercent = 2;

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult[]> {
  const { machine: first } = Platform.connect();
  const workers = (await keptMachines()).filter(({ isOn }) => isOn);
  const seconds = tiny ? 2 : 60;
  return (
    await Promise.all([
      idle(first, 'the first machine', limitMegabytes, seconds),
      ...workers.map((worker, at) =>
        idle(worker, `added worker ${at + 1}`, limitWorkerMegabytes, seconds),
      ),
    ])
  ).flat();
}

async function idle(
  machine: Machine,
  name: string,
  limit: number,
  seconds: number,
): Promise<BenchResult[]> {
  const before = await platformMemory(machine);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const after = await platformMemory(machine);
  const [load] = (await readFile('/proc/loadavg', 'utf8')).split(' ');
  return [
    bound({
      name: `idle memory, all processes of ${name}`,
      figure: after.megabytes,
      unit: 'MB PSS',
      limit,
      note: describeParts(after),
    }),
    bound({
      name: `idle processor time of ${name}`,
      figure: (after.ticks - before.ticks) / seconds,
      unit: '% of a core',
      limit: limitCorePercent,
      note: `over ${seconds} s, load ${load}`,
    }),
  ];
}

/** The peer is the bound itself. */
function bound(options: {
  name: string;
  figure: number;
  unit: string;
  limit: number;
  note: string;
}): BenchResult {
  const { name, figure, unit, limit, note } = options;
  const ratio = figure / limit;
  const isMet = ratio <= 1;
  const common = { name, figure, unit, peer: 'the bound', peerFigure: limit, ratio, isMet, note };
  return { ...common, target: `<= ${limit} ${unit}`, min: ratio, max: ratio, pairs: 1 };
}
