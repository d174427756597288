// Who may build now: one build of each app, a few in all, the others in the order they came.

import { coreErrors } from '#core/errors';

/** Builds at a time in all; a machine of two cores is busy with one. */
const maxBuilds = 2;
/** Builds that wait for their turn. */
const maxWaiting = 20;

interface Ticket {
  app: string;
  start(): void;
}

export interface Turn {
  readonly isWaiting: boolean;
  /** Resolves when the build may begin; core.aborted when the signal fires first. */
  granted(signal: AbortSignal): Promise<void>;
  /** Lets the next one begin; safe to call twice. */
  end(): void;
}

export class BuildQueue {
  readonly #running = new Set<Ticket>();
  readonly #waiting = new Set<Ticket>();

  request(app: string): Turn {
    if (this.#waiting.size >= maxWaiting)
      throw coreErrors.overloaded(`${maxWaiting} builds are waiting; push again in a minute`);
    const { promise, resolve } = Promise.withResolvers<void>();
    const ticket: Ticket = { app, start: resolve };
    this.#waiting.add(ticket);
    this.#next();
    return {
      isWaiting: this.#waiting.has(ticket),
      granted: (signal) => untilAborted(promise, signal),
      end: () => {
        this.#running.delete(ticket);
        this.#waiting.delete(ticket);
        this.#next();
      },
    };
  }

  #next(): void {
    for (const ticket of this.#waiting) {
      if (this.#running.size >= maxBuilds) return;
      if ([...this.#running].some(({ app }) => app === ticket.app)) continue;
      this.#waiting.delete(ticket);
      this.#running.add(ticket);
      ticket.start();
    }
  }
}

async function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(coreErrors.aborted('the push ended while its build waited'));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) onAbort();
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
