// What can go wrong with one call, drawn from the seed. Off: nothing.

import type { Random } from '#core/random';

/**
 * refuse: it never arrived. lose: it was done, and nobody hears of it. slow: it takes long. late: it is done after whoever
 * asked has given up. repeat: it arrives twice.
 */
export type Fault = 'none' | 'refuse' | 'lose' | 'slow' | 'late' | 'repeat';

const usualKinds: readonly Fault[] = ['refuse', 'lose', 'slow'];

/** Longest delay of a slow call. */
const slowestMs = 3000;

export class Faults {
  #isOn = false;
  readonly random: Random;
  readonly #now: () => number;
  #quietSince = Number.NEGATIVE_INFINITY;
  /** Share of calls that go wrong while on. */
  readonly #rate: number;
  readonly #kinds: readonly Fault[];

  constructor(random: Random, now: () => number, kinds = usualKinds) {
    this.random = random;
    this.#now = now;
    this.#kinds = kinds;
    this.#rate = random() < 0.2 ? 0 : random() ** 2 * 0.3;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  set isOn(isOn: boolean) {
    if (this.#isOn && !isOn) this.#quietSince = this.#now();
    this.#isOn = isOn;
  }

  /** News that was held up may still be on its way. */
  get isNewsLate(): boolean {
    return this.#isOn || this.#now() - this.#quietSince < slowestMs;
  }

  draw(): Fault {
    if (!this.isOn || this.random() >= this.#rate) return 'none';
    return this.#kinds[Math.floor(this.random() * this.#kinds.length)] ?? 'none';
  }

  /** Is this one event lost on its way? */
  drops(): boolean {
    return this.isOn && this.random() < this.#rate / 4;
  }

  /** Does this stream of news stand still for a while? */
  stalls(): boolean {
    return this.isOn && this.random() < 2 * this.#rate;
  }

  delayMs(): number {
    return Math.floor(this.random() * slowestMs);
  }
}
