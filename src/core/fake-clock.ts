// A clock that stands still until a test moves it. Timers fire in order of their time, then of their creation.

import type { Clock, Timer } from './clock.ts';
import { coreErrors } from './errors.ts';

interface Pending {
  at: number;
  order: number;
  fire: () => void;
}

export class FakeClock implements Clock {
  #nowMs: number;
  #wallOffsetMs = 0;
  #order = 0;
  #pending: Pending[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  timer(ms: number, fire: () => void): Timer {
    const entry: Pending = { at: this.#nowMs + Math.max(0, ms), order: this.#order++, fire };
    this.#pending.push(entry);
    return {
      cancel: () => {
        this.#pending = this.#pending.filter((other) => other !== entry);
      },
    };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(coreErrors.aborted('the wait was cancelled'));
      const timer = this.timer(ms, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      const onAbort = () => {
        timer.cancel();
        reject(coreErrors.aborted('the wait was cancelled'));
      };
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** When the next timer is due by the monotonic clock, or undefined when none is pending. */
  nextAt(): number | undefined {
    return this.#next()?.at;
  }

  /** Somebody sets the wall clock by so much; time itself, and every timer, goes on as before. */
  setWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** Moves time forward, firing what becomes due and letting promises settle after each. */
  async advance(ms: number): Promise<void> {
    const end = this.#nowMs + ms;
    await settle();
    for (let next = this.#next(); next && next.at <= end; next = this.#next()) {
      this.#nowMs = Math.max(this.#nowMs, next.at);
      this.#pending = this.#pending.filter((other) => other !== next);
      next.fire();
      await settle();
    }
    this.#nowMs = end;
    await settle();
  }

  #next(): Pending | undefined {
    let best: Pending | undefined;
    for (const entry of this.#pending) {
      if (!best || entry.at < best.at || (entry.at === best.at && entry.order < best.order))
        best = entry;
    }
    return best;
  }
}

/** Lets promise reactions run; a macrotask turn drains every microtask queued before it. */
async function settle(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}
