// The one loop of every component: something changed or time passed -> run once -> wait.
// Triggers coalesce, one run at a time, a failure backs off, a success never waits longer than the resync.

import type { Clock, Timer } from './clock.ts';
import { type ErrorBody, toAppError } from './errors.ts';
import type { Log } from './log.ts';
import type { Random } from './random.ts';
import { type Backoff, backoffMs, isWorthTelling } from './retry.ts';

export interface LoopOptions {
  name: string;
  /** One pass: observe, decide, act. Must stop soon after the signal fires. May ask to run again after `againMs`. */
  run(signal: AbortSignal): Promise<void | { againMs: number }>;
  /** Longest time between two passes when nothing triggers, milliseconds; jittered by 20 %. */
  resyncMs: number;
  backoff?: Backoff;
  clock: Clock;
  random: Random;
  log: Log;
}

export interface LoopStatus {
  name: string;
  isRunning: boolean;
  runs: number;
  failuresInRow: number;
  lastError?: ErrorBody;
  lastSuccessAt?: number;
}

export interface Loop {
  start(): void;
  /** Asks for a pass; any number of calls during a pass cause exactly one more. */
  trigger(): void;
  /** Aborts the running pass and resolves when it has ended. */
  stop(): Promise<void>;
  status(): LoopStatus;
}

const defaultBackoff: Backoff = { minMs: 100, maxMs: 10_000 };

export function createLoop(options: LoopOptions): Loop {
  const { name, clock, random, log } = options;
  const backoff = options.backoff ?? defaultBackoff;
  const status: LoopStatus = { name, isRunning: false, runs: 0, failuresInRow: 0 };
  let abort: AbortController | undefined;
  let current: Promise<void> | undefined;
  let timer: Timer | undefined;
  let isDirty = false;

  function schedule(ms: number): void {
    timer?.cancel();
    timer = clock.timer(ms, begin);
  }

  function begin(): void {
    timer?.cancel();
    timer = undefined;
    if (!abort || abort.signal.aborted || current) return;
    isDirty = false;
    current = pass(abort.signal)
      .finally(() => {
        current = undefined;
      })
      .then((nextMs) => {
        if (abort && !abort.signal.aborted)
          schedule(isDirty && status.failuresInRow === 0 ? 0 : nextMs);
      });
  }

  async function pass(signal: AbortSignal): Promise<number> {
    status.isRunning = true;
    try {
      const result = await options.run(signal);
      status.failuresInRow = 0;
      delete status.lastError;
      status.lastSuccessAt = clock.now();
      const resyncMs = options.resyncMs * (0.8 + 0.4 * random());
      return Math.min(resyncMs, result?.againMs ?? resyncMs);
    } catch (error) {
      if (signal.aborted) return 0;
      status.failuresInRow++;
      status.lastError = toAppError(error).toBody();
      const waitMs = backoffMs(status.failuresInRow, backoff, random);
      const failures = status.failuresInRow;
      if (isWorthTelling(failures))
        log.warn({ loop: name, err: error, failures, waitMs }, 'pass failed');
      return waitMs;
    } finally {
      status.isRunning = false;
      status.runs++;
    }
  }

  return {
    start() {
      if (abort && !abort.signal.aborted) return;
      abort = new AbortController();
      begin();
    },
    trigger() {
      if (!abort || abort.signal.aborted) return;
      isDirty = true;
      if (!current && status.failuresInRow === 0) begin();
    },
    async stop() {
      timer?.cancel();
      abort?.abort();
      await current;
    },
    status: () => ({ ...status }),
  };
}
