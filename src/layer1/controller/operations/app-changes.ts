// Wakes whoever waits for something of one app. Listens from its creation on, so that nothing falls between a look and a wait.

import type { Clock } from '#core/clock';
import { coreErrors } from '#core/errors';
import type { Observer } from '../observe.ts';

export class AppChanges implements Disposable {
  readonly #clock: Clock;
  readonly #unlisten: () => void;
  #woken = new AbortController();

  constructor({ observer, clock }: { observer: Observer; clock: Clock }, app: string) {
    this.#clock = clock;
    this.#unlisten = observer.listen({
      changed: (changed) => {
        if (changed === undefined || changed === app) this.#woken.abort();
      },
    });
  }

  /** Resolves when something has changed since the last call, or after `limitMs` without; core.aborted by the signal. */
  async next(signal: AbortSignal, limitMs?: number): Promise<void> {
    const woken = this.#woken.signal;
    const either = AbortSignal.any([signal, woken]);
    if (!either.aborted) await this.#pause(either, limitMs);
    if (signal.aborted) throw coreErrors.aborted('the wait was cancelled');
    if (woken.aborted) this.#woken = new AbortController();
  }

  [Symbol.dispose](): void {
    this.#unlisten();
  }

  #pause(end: AbortSignal, limitMs: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = limitMs === undefined ? undefined : this.#clock.timer(limitMs, done);
      function done(): void {
        timer?.cancel();
        end.removeEventListener('abort', done);
        resolve();
      }
      end.addEventListener('abort', done, { once: true });
    });
  }
}
