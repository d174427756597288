// Time as an argument: production code asks a Clock, so that tests and the simulator decide what time it is.

import { setTimeout as delay } from 'node:timers/promises';
import { coreErrors } from './errors.ts';

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock, milliseconds since the epoch: for records that people read. */
  now(): number;
  /** Milliseconds from an arbitrary start, never going back: for durations and deadlines. */
  monotonicMs(): number;
  /** Calls `fire` once after `ms`. A pending timer does not keep the process alive. */
  timer(ms: number, fire: () => void): Timer;
  /** Resolves after `ms`; rejects with core.aborted when the signal fires first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  timer(ms, fire) {
    const handle = setTimeout(fire, ms);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
  async sleep(ms, signal) {
    try {
      await delay(ms, undefined, signal ? { signal } : {});
    } catch (cause) {
      throw coreErrors.aborted('the wait was cancelled', { cause });
    }
  },
};
