// All three machines lose their power and get it back in any order, the last one late: 20 times, and everything is back by itself.

import { losesAll } from '../cluster/failures.ts';
import { playRounds, shuffle } from './rounds.ts';
import type { SoakOptions, SoakResult } from './soak.ts';

export function play({ count = 20, ...options }: SoakOptions): Promise<SoakResult> {
  return playRounds({ count, ...options }, (random) => ({
    name: 'all without power',
    play: (trial) => losesAll(trial, shuffle(random, trial.bed.machines)),
  }));
}
