// Gantry against Docker Swarm mode, as it comes and tuned, on the same three dockerds: 30 replicas started, a crash, a
// machine lost by power and by cable, a rolling update of ten, boot, memory. Each round is Gantry's half, then Swarm's: an
// engine cannot serve both, since Swarm refuses live-restore. GANTRY_BENCH_ROUNDS is how many rounds, 7 by default.
// On the kept machines, or on three that it makes and takes away.

import { readFile } from 'node:fs/promises';
import { Bed, keptMachines } from '../test/cluster/bed.ts';
import { withPlatform } from '../test/cluster/bring-up.ts';
import { theMachine } from '../test/cluster/platform.ts';
import { resultOf } from './measure.ts';
import type { BenchResult } from './result.ts';
import { type Contender, type FigureName, figureNames } from './swarm/contender.ts';
import { endByErrorOnSignal } from './swarm/fleet.ts';
import { createGantry } from './swarm/gantry.ts';
import { measureRound, type Samples, type Size } from './swarm/round.ts';
import { createSwarm, endSwarm, makeSwarm, tunings } from './swarm/swarm-mode.ts';

const full: Size = { replicas: 30, updated: 10, rounds: 7 };
const least: Size = { replicas: 6, updated: 3, rounds: 1 };

/** By the contender's name; what a round adds is a pair with what the same round adds to another. */
type Taken = Map<string, Samples>;

export function run({ tiny }: { tiny: boolean }): Promise<BenchResult[]> {
  const rounds = Number(process.env.GANTRY_BENCH_ROUNDS ?? full.rounds);
  return withPlatform(() => measure(tiny ? least : { ...full, rounds }));
}

async function measure(size: Size): Promise<BenchResult[]> {
  endByErrorOnSignal();
  // A run before this one may have been killed in Swarm's half.
  await endSwarm([theMachine(), ...(await keptMachines())]);
  const bed = await Bed.of(3);
  const taken: Taken = new Map();
  const loads: string[] = [];
  for (let round = 0; round < size.rounds; round++) {
    loads.push(await loadNow());
    await take(taken, await createGantry(bed), size);
    try {
      const baseline = await makeSwarm(bed);
      for (const tuning of tunings) await take(taken, createSwarm(bed, tuning, baseline), size);
    } finally {
      await endSwarm(bed.machines);
      await bed.untilAllUp();
    }
  }
  return results(taken, size, `load ${loads.join(', ')} at the beginning of each round`);
}

async function take(taken: Taken, contender: Contender, size: Size): Promise<void> {
  const samples = taken.get(contender.name) ?? {};
  taken.set(contender.name, samples);
  await measureRound(contender, size, samples);
}

interface Pair {
  ours: number;
  peer: number;
}

/** What is asked of a figure: at most so many times Swarm's, or at most so much, or nothing. */
interface Wanted {
  name: string;
  unit: string;
  ratio?: number;
  most?: number;
  /** The one that the target names, where that is not Swarm as it comes. */
  against?: string;
}

function wantedOf({ replicas, updated }: Size): Record<FigureName, Wanted> {
  const seconds = (name: string, ratio: number) => ({ name, unit: 's', ratio });
  const memory = (name: string, most: number) => ({ name, unit: 'MB PSS', most });
  return {
    start: seconds(`start of ${replicas} replicas`, 1),
    crash: seconds('crash to replacement', 0.2),
    power: seconds('machine without power to all replicas back', 0.4),
    cable: seconds('machine without cable to all replicas back', 0.4),
    update: {
      ...seconds(`rolling update of ${updated}`, 0.7),
      against: 'Swarm, start-first',
    },
    boot: { name: 'three machines with power to control ready, engines included', unit: 's' },
    control: memory(`memory of the first machine, ${replicas} replicas`, 300),
    worker: memory(`memory of a worker, ${replicas} replicas`, 90),
  };
}

function results(taken: Taken, size: Size, note: string): BenchResult[] {
  const wanted = wantedOf(size);
  const ours = taken.get('Gantry') ?? {};
  return figureNames.flatMap((figure) =>
    tunings.flatMap(({ name: peer }) => {
      const their = taken.get(peer)?.[figure];
      const pairs = their?.map((one, at) => ({
        ours: ours[figure]?.[at] ?? Number.NaN,
        peer: one,
      }));
      if (!pairs) return [];
      const isWhole = ({ ours, peer }: Pair) => !Number.isNaN(ours) && !Number.isNaN(peer);
      return [compare(wanted[figure], peer, pairs.filter(isWhole), note + missing(peer, pairs))];
    }),
  );
}

/** Who was asked in vain, and how often: such a pair is in no median. */
function missing(peer: string, pairs: readonly Pair[]): string {
  const told = (who: string, side: keyof Pair) => {
    const many = pairs.filter((pair) => Number.isNaN(pair[side])).length;
    return many > 0 ? `; ${who} has no figure ${many} of ${pairs.length} times` : '';
  };
  return told('Gantry', 'ours') + told(peer, 'peer');
}

function compare(
  { name, unit, ratio: mostRatio, most, against = 'Swarm' }: Wanted,
  peer: string,
  pairs: Pair[],
  note: string,
): BenchResult {
  const common = { name, unit, pairs, note };
  if (most !== undefined)
    return resultOf({
      ...common,
      peer: `${peer}, what dockerd grew by`,
      target: `<= ${most} ${unit}`,
      isMet: ({ figure }) => figure <= most,
    });
  if (mostRatio === undefined)
    return resultOf({ ...common, peer, target: 'none here', isMet: () => true });
  const isAsked = peer === against;
  return resultOf({
    ...common,
    peer,
    target: isAsked ? `<= ${mostRatio}x` : `none (it is <= ${mostRatio}x ${against})`,
    isMet: ({ ratio }) => !isAsked || ratio <= mostRatio,
  });
}

async function loadNow(): Promise<string> {
  return (await readFile('/proc/loadavg', 'utf8')).split(' ')[0] ?? '';
}
