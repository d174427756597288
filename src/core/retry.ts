// Exponential back-off as a pure function, and the one retry helper that uses it.

import type { Clock } from './clock.ts';
import { toAppError } from './errors.ts';
import type { Random } from './random.ts';

export interface Backoff {
  /** Wait before the first retry, milliseconds. */
  minMs: number;
  /** Longest wait, milliseconds. */
  maxMs: number;
}

/** The wait after the n-th failure in a row (n from 1): doubled each time, capped, +-20 % jitter. */
export function backoffMs(failures: number, { minMs, maxMs }: Backoff, random: Random): number {
  const base = Math.min(maxMs, minMs * 2 ** Math.min(30, failures - 1));
  return Math.round(base * (0.8 + 0.4 * random()));
}

/** Which failures in a row are logged: the 1st, 2nd, 4th, 8th... An outage is told, and does not fill the log. */
export function isWorthTelling(failures: number): boolean {
  return Number.isInteger(Math.log2(failures));
}

export interface RetryOptions extends Backoff {
  clock: Clock;
  random: Random;
  /** Gives up this long after the first try, throwing the last error. */
  deadlineMs: number;
  signal?: AbortSignal;
}

/** Calls `attempt` until it succeeds, throws an error with retry=false, or the deadline is over. */
export async function retry<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const end = options.clock.monotonicMs() + options.deadlineMs;
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      const waitMs = backoffMs(failures, options, options.random);
      if (!toAppError(error).retry || options.clock.monotonicMs() + waitMs > end) throw error;
      await options.clock.sleep(waitMs, options.signal);
    }
  }
}
