// What ends with a process: its timers never fire again, its calls never return. The world outside goes on.
// What stands still with one that is frozen (SIGSTOP): it sees nothing and does nothing until it goes on, late.

import type { Clock, Timer } from '#core/clock';
import { coreErrors } from '#core/errors';

const never = new Promise<never>(() => {});

export class Life {
  readonly clock: Clock;
  readonly #timers = new Set<Timer>();
  readonly #end = new AbortController();
  #thawed: PromiseWithResolvers<void> | undefined;

  /** `wallOffset`: how far the machine's wall clock is off. `rate`: how fast all its clocks go. */
  constructor(world: Clock, wallOffset: () => number, rate = 1) {
    this.clock = {
      now: () => Math.floor(world.now() + wallOffset()),
      monotonicMs: () => world.monotonicMs() * rate,
      timer: (ms, fire) => this.#timer(world, ms / rate, fire),
      sleep: (ms, signal) => this.#sleep(ms, signal),
    };
  }

  get isAlive(): boolean {
    return !this.#end.signal.aborted;
  }

  /** Fires when the process is killed. */
  get ended(): AbortSignal {
    return this.#end.signal;
  }

  get isFrozen(): boolean {
    return this.#thawed !== undefined;
  }

  freeze(): void {
    this.#thawed ??= Promise.withResolvers<void>();
  }

  thaw(): void {
    this.#thawed?.resolve();
    this.#thawed = undefined;
  }

  /** Resolves at once, or when it goes on; never for one that is killed meanwhile. */
  async awake(): Promise<void> {
    while (this.#thawed) await this.#thawed.promise;
    if (!this.isAlive) await never;
  }

  kill(): void {
    this.thaw();
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#end.abort();
  }

  /** A call out of the process: one that the process does not live to see answered stays unanswered. */
  async outside<T>(call: () => Promise<T>): Promise<T> {
    if (!this.isAlive) return await never;
    try {
      const answer = await call();
      if (this.#thawed) await this.awake();
      return this.isAlive ? answer : await never;
    } catch (error) {
      if (this.#thawed) await this.awake();
      if (!this.isAlive) return await never;
      throw error;
    }
  }

  #timer(world: Clock, ms: number, fire: () => void): Timer {
    if (!this.isAlive) return { cancel: () => {} };
    const timer = world.timer(ms, () => {
      if (!this.#thawed) {
        this.#timers.delete(timer);
        fire();
      } else
        void this.#thawed.promise.then(() => {
          if (this.#timers.delete(timer)) fire();
        });
    });
    this.#timers.add(timer);
    return {
      cancel: () => {
        this.#timers.delete(timer);
        timer.cancel();
      },
    };
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        timer.cancel();
        reject(coreErrors.aborted('the wait was cancelled'));
      };
      const timer = this.clock.timer(ms, () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      });
      if (signal?.aborted) abort();
      else signal?.addEventListener('abort', abort, { once: true });
    });
  }
}
