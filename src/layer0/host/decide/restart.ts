// After an attempt has ended: is there another one, and when?

import type { Job } from '#layer0/scheduler/wire';
import { restartMaxMs, restartMinMs, restartResetMs } from '../config.ts';

/** The wait before restart n of a series, n from 1: none, then 1 s doubling to 60 s. */
export function restartDelayMs(restart: number): number {
  if (restart <= 1) return 0;
  return Math.min(restartMaxMs, restartMinMs * 2 ** Math.min(restart - 2, 16));
}

export interface Ending {
  /** `exit 1`, `out of memory (limit 512 MiB)`. */
  reason: string;
  /** Absent: it never ran, or nobody knows. */
  exitCode?: number;
  isOutOfMemory: boolean;
  /** How long it ran, milliseconds. */
  ranMs: number;
  /** No further attempt can help. */
  isFinal: boolean;
  /** It ended while no agent ran: with the machine or the engine, as far as anybody can tell. */
  isUnwatched?: boolean;
  endedAt: number;
}

export type Verdict =
  | { state: 'down'; reason?: string }
  | { state: 'failed'; reason: string }
  | { state: 'failed'; reason: string; restarts: number; restartAt: number };

/** `restarts` counts those in a row before this ending. */
export function decideRestart(job: Job, ending: Ending, restarts: number): Verdict {
  if (job.spec.restart === 'never') {
    if (ending.exitCode === 0 && !ending.isFinal) return { state: 'down' };
    return { state: 'failed', reason: ending.reason };
  }
  if (ending.isFinal) return { state: 'failed', reason: ending.reason };
  // A series counts what the process does; a machine that loses its power again and again says nothing about it.
  if (ending.isUnwatched)
    return {
      state: 'failed',
      reason: `${ending.reason} while the machine or its engine was down; started again at once`,
      restarts,
      restartAt: ending.endedAt,
    };
  const next = ending.ranMs >= restartResetMs ? 1 : restarts + 1;
  const delayMs = restartDelayMs(next);
  const when = delayMs === 0 ? 'at once' : `in ${delayMs / 1000} s`;
  return {
    state: 'failed',
    reason: `${ending.reason}; restart ${next} ${when}`,
    restarts: next,
    restartAt: ending.endedAt + delayMs,
  };
}
