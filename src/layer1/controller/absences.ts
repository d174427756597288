// Since when is a machine silent? Nobody writes that down: it is what this controller has seen, and it forgets with its life.

import type { Clock } from '#core/clock';

export class Absences {
  readonly #clock: Clock;
  #alive = new Set<string>();
  readonly #goneAtMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The machines that are heard of now. */
  see(alive: ReadonlySet<string>): void {
    for (const id of this.#alive)
      if (!alive.has(id)) this.#goneAtMs.set(id, this.#clock.monotonicMs());
    for (const id of alive) this.#goneAtMs.delete(id);
    this.#alive = new Set(alive);
  }

  /** Milliseconds, by host id. */
  silentFor(): Map<string, number> {
    const now = this.#clock.monotonicMs();
    return new Map([...this.#goneAtMs].map(([id, atMs]) => [id, now - atMs]));
  }
}
