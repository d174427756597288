// Requests to an app at the routers of several machines, all the time, and which of them failed when: what must not fail while
// something happens to a machine.

import { type Load, startLoad } from '../load/client.ts';
import type { Machine } from './machine.ts';

/** After this long no request that begins at a machine that is there fails because of one that is not. */
export const boundMs = 5_000;

interface Failed {
  machine: Machine;
  beganMs: number;
  message: string;
}

/** Clients of the app at the router of every machine. No request is sent twice. */
export class Traffic {
  readonly #loads: Load[] = [];
  readonly #failed: Failed[] = [];

  constructor(machines: readonly Machine[], app: string) {
    for (const machine of machines)
      for (const kind of [
        { mode: 'keep-alive', clients: 2, pauseMs: 20 },
        { mode: 'keep-alive', clients: 1, pauseMs: 50, method: 'POST', body: 'order=1' },
        { mode: 'close', clients: 1, pauseMs: 100, method: 'POST', body: 'order=2' },
      ] as const)
        this.#loads.push(
          startLoad({
            ...kind,
            address: machine.address,
            port: 80,
            host: `${app}.gantry.localhost`,
            timeoutMs: boundMs,
            onFailure: (beganMs, message) => this.#failed.push({ machine, beganMs, message }),
          }),
        );
  }

  get requests(): number {
    return this.#loads.reduce((sum, { requests }) => sum + requests, 0);
  }

  /** Those that began at one of these machines in that time, by `performance.now()`. */
  failed(machines: readonly Machine[], sinceMs: number, untilMs: number): string[] {
    return this.#failed
      .filter(({ machine, beganMs }) => machines.includes(machine) && beganMs >= sinceMs)
      .filter(({ beganMs }) => beganMs < untilMs)
      .map(({ machine, beganMs, message }) => {
        const afterMs = Math.round(beganMs - sinceMs);
        return `${machine.name}, ${afterMs} ms after it must not: ${message}`;
      });
  }

  /** How long after `sinceMs` the last request began that failed: 0 where none did. */
  lastFailedMs(machines: readonly Machine[], sinceMs: number, untilMs: number): number {
    const times = this.#failed
      .filter(({ machine, beganMs }) => machines.includes(machine) && beganMs < untilMs)
      .map(({ beganMs }) => beganMs - sinceMs);
    return Math.max(0, ...times);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#loads.map((load) => load.stop()));
  }
}
