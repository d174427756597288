// Rounds of failures on three real machines: each is chosen by its number, so that it can be played again alone.

import { type Random, seededRandom } from '#core/random';
import { Bed } from '../cluster/bed.ts';
import { withPlatform } from '../cluster/bring-up.ts';
import { Trial } from '../cluster/trial.ts';
import type { SoakOptions, SoakResult } from './soak.ts';

/** The longest rest before something happens: it is to meet the platform in every phase of what it does. */
const longestRestMs = 5_000;

export interface Round {
  name: string;
  play(trial: Trial): Promise<void>;
}

/** Plays so many rounds; after one that failed the machines are put right and it goes on. */
export function playRounds(
  { count, first, isOnEtcd }: SoakOptions & { count: number },
  choose: (random: Random) => Round,
): Promise<SoakResult> {
  return withPlatform(async () => {
    const failures: string[] = [];
    const figures = new Figures();
    let trial = await begin(isOnEtcd);
    for (let number = first; number < first + count; number++) {
      const random = seededRandom(number);
      const round = choose(random);
      await new Promise((resolve) => setTimeout(resolve, random() * longestRestMs));
      const startedAt = performance.now();
      const playing = trial.spread().then(() => round.play(trial));
      const problem = await playing.then(
        () => undefined,
        (error: Error) => error.message,
      );
      const seconds = Math.round((performance.now() - startedAt) / 1000);
      const measured = figures.take(trial);
      console.log(`${number} ${round.name}: ${problem ?? 'held'} (${seconds} s${measured})`);
      if (problem === undefined) continue;
      failures.push(`round ${number}, ${round.name}: ${problem}`);
      await trial.repair();
      await trial.end();
      trial = await begin(isOnEtcd);
    }
    const { requests } = trial.traffic;
    await trial.end();
    return { played: count, failures, figures: [`${requests} requests`, ...figures.lines()] };
  });
}

async function begin(isOnEtcd: boolean): Promise<Trial> {
  if (isOnEtcd) await moveToEtcd();
  const trial = await Trial.begin('soaking');
  if (trial.isOnEtcd !== isOnEtcd)
    throw new Error('the kept machines have their store on etcd: give --etcd, or remove them');
  return trial;
}

/** As a person does it; nothing where it is there already. */
async function moveToEtcd(): Promise<void> {
  const { platform } = await Bed.of(3);
  const { code, stdout, stderr } = await platform.tryGantry('cluster', 'ha');
  if (code !== 0 && !stderr.includes('on etcd already')) throw new Error(stdout + stderr);
}

/** Seconds, by what was measured. */
class Figures {
  readonly #seconds = new Map<string, number[]>();

  /** Those of a round, as the end of its line. */
  take(trial: Trial): string {
    const taken = [...trial.takeFigures()];
    for (const [what, seconds] of taken)
      this.#seconds.set(what, [...(this.#seconds.get(what) ?? []), seconds]);
    return taken.map(([what, seconds]) => `, ${what} ${seconds.toFixed(1)}`).join('');
  }

  lines(): string[] {
    return [...this.#seconds].map(([what, all]) => {
      const sorted = all.toSorted((a, b) => a - b);
      const half = sorted[Math.floor(sorted.length / 2)]?.toFixed(1);
      return `${what}: ${sorted.length} times, median ${half} s, longest ${sorted.at(-1)?.toFixed(1)} s`;
    });
  }
}

export function pick<T>(random: Random, from: readonly T[]): T {
  const found = from[Math.floor(random() * from.length)];
  if (found === undefined) throw new Error('nothing to choose from');
  return found;
}

export function shuffle<T>(random: Random, from: readonly T[]): T[] {
  const keyed = from.map((value) => ({ value, place: random() }));
  return keyed.sort((a, b) => a.place - b.place).map(({ value }) => value);
}
