// When is a wait over that rests on a time written by the wall clock, the engine's or that of an earlier life of this
// agent? From the moment this process first sees such a time the monotonic clock counts, so a wall clock that is set
// neither ends a wait early nor makes it longer than its limit.

import type { Clock } from '#core/clock';

export class Deadlines {
  readonly #clock: Clock;
  readonly #known = new Map<string, { at: number; dueMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** By the monotonic clock. `at`: milliseconds since the epoch; `limitMs`: the longest wait there may be for it. */
  dueMs(name: string, at: number, limitMs: number): number {
    const known = this.#known.get(name);
    if (known?.at === at) return known.dueMs;
    const leftMs = Math.min(limitMs, Math.max(0, at - this.#clock.now()));
    const dueMs = this.#clock.monotonicMs() + leftMs;
    this.#known.set(name, { at, dueMs });
    return dueMs;
  }

  /**
   * The same for a wait that a new life of this agent grants whole again: nothing but this process has measured it, and a wall
   * clock that was set between `at` and the first look would end it at once.
   */
  dueFromSightMs(name: string, at: number, limitMs: number): number {
    const known = this.#known.get(name);
    if (known?.at === at) return known.dueMs;
    const dueMs = this.#clock.monotonicMs() + limitMs;
    this.#known.set(name, { at, dueMs });
    return dueMs;
  }

  forgetAllBut(names: ReadonlySet<string>): void {
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
  }
}
