// Rounds of failures on three real machines: each is chosen by its number, so that it can be played again alone.

import { type Random, seededRandom } from '#core/random';
import { withPlatform } from '../cluster/bring-up.ts';
import { Trial } from '../cluster/failures.ts';
import type { SoakResult } from './soak.ts';

/** The longest rest before something happens: it is to meet the platform in every phase of what it does. */
const longestRestMs = 5_000;

export interface Round {
  name: string;
  play(trial: Trial): Promise<void>;
}

/** Plays so many rounds; after one that failed the machines are put right and it goes on. */
export function playRounds(
  { count, first }: { count: number; first: number },
  choose: (random: Random) => Round,
): Promise<SoakResult> {
  return withPlatform(async () => {
    const failures: string[] = [];
    let trial = await Trial.begin('soaking');
    for (let number = first; number < first + count; number++) {
      const random = seededRandom(number);
      const round = choose(random);
      await new Promise((resolve) => setTimeout(resolve, random() * longestRestMs));
      await trial.spread();
      const startedAt = performance.now();
      const problem = await round.play(trial).then(
        () => undefined,
        (error: Error) => error.message,
      );
      const seconds = Math.round((performance.now() - startedAt) / 1000);
      console.log(`${number} ${round.name}: ${problem ?? 'held'} (${seconds} s)`);
      if (problem === undefined) continue;
      failures.push(`round ${number}, ${round.name}: ${problem}`);
      await trial.repair();
      await trial.end();
      trial = await Trial.begin('soaking');
    }
    const { requests } = trial.traffic;
    await trial.end();
    return { played: count, failures, figures: [`${requests} requests`] };
  });
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
