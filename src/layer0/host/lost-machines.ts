// Which machines have been silent for so long that nobody waits for what they would do? Counted from what this daemon has seen,
// and anew whenever it lists again: what it did not see is no absence.

import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createMirror, type Mirror, type Store, type WatchEvent } from '#layer0/store/client';
import { silentGraceMs } from './config.ts';
import { hostAliveKey, hostAlivePrefix } from './wire.ts';

export interface LostMachinesDeps {
  store: Store;
  clock: Clock;
  random: Random;
  log: Log;
  signal: AbortSignal;
}

export class LostMachines {
  readonly #clock: Clock;
  readonly #alive: Mirror<unknown>;
  readonly #goneAtMs = new Map<string, number>();
  #listedAtMs = Infinity;

  constructor(deps: LostMachinesDeps) {
    this.#clock = deps.clock;
    const onChange = (change: WatchEvent<unknown>[] | 'resync') => this.#see(change);
    this.#alive = createMirror<unknown>(deps.store, hostAlivePrefix, { ...deps, onChange });
  }

  /** Its lease has been over for the grace, while this daemon was in touch with the store. */
  has(machine: string): boolean {
    const { isConnected } = this.#alive;
    if (!isConnected || this.#alive.get(hostAliveKey(machine))) return false;
    const sinceMs = this.#goneAtMs.get(machine) ?? this.#listedAtMs;
    return this.#clock.monotonicMs() - sinceMs >= silentGraceMs;
  }

  #see(change: WatchEvent<unknown>[] | 'resync'): void {
    const nowMs = this.#clock.monotonicMs();
    if (change === 'resync') {
      this.#goneAtMs.clear();
      this.#listedAtMs = nowMs;
      return;
    }
    for (const { type, key } of change) {
      const machine = key.slice(hostAlivePrefix.length);
      if (type === 'put') this.#goneAtMs.delete(machine);
      else this.#goneAtMs.set(machine, nowMs);
    }
  }
}
