// A hundred pauses of 3 s of daemons and cables, in rounds of ten: not one job is moved or started again.

import { pauses } from '../cluster/failures.ts';
import { playRounds } from './rounds.ts';
import type { SoakOptions, SoakResult } from './soak.ts';

export function play({ count = 10, ...options }: SoakOptions): Promise<SoakResult> {
  return playRounds({ count, ...options }, () => ({
    name: '10 pauses',
    play: (trial) => pauses(trial, 10),
  }));
}
