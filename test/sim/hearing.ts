// Who hears what happens at once, and who hears it late, or is heard late: ways to the store are cut, and daemons stand still.

import type { Clock } from '#core/clock';
import type { Links } from './links.ts';

/** A change this young may not have reached who decided. */
export const freshMs = 500;
/** A stream that was cut for so long is given up, and begun anew after the longest wait of a mirror. */
const brokenAfterMs = 10_000;
const reconnectMs = 6_000 + freshMs;

export interface Listener {
  readonly id: string;
  readonly isFrozen: boolean;
}

export class Hearing {
  readonly #links: Links;
  readonly #clock: Clock;
  readonly #from: () => string | undefined;
  #listeners: readonly Listener[] = [];
  /** Since when each hears nothing. */
  readonly #deaf = new Map<string, number>();
  readonly #lateUntil = new Map<string, number>();

  /** `from`: where the store is. */
  constructor(links: Links, clock: Clock, from: () => string | undefined) {
    this.#links = links;
    this.#clock = clock;
    this.#from = from;
  }

  follow(listeners: readonly Listener[]): void {
    this.#listeners = listeners;
    this.#links.onChange(() => this.look());
  }

  /** What happened a while ago may be news to it, or on its way still. */
  isLate(id: string): boolean {
    return this.#deaf.has(id) || this.#clock.monotonicMs() < (this.#lateUntil.get(id) ?? 0);
  }

  /** Call when the store is there again. */
  storeIsBack(): void {
    for (const { id } of this.#listeners) this.#late(id, reconnectMs);
  }

  /** Call when a daemon stands still, and when it goes on. */
  look(): void {
    const from = this.#from();
    const nowMs = this.#clock.monotonicMs();
    for (const { id, isFrozen } of this.#listeners) {
      // What it sends may have been decided on long before it arrives.
      const isCut =
        from !== undefined && !(this.#links.isOpen(from, id) && this.#links.isOpen(id, from));
      const sinceMs = this.#deaf.get(id);
      if (isFrozen || isCut) this.#deaf.set(id, sinceMs ?? nowMs);
      else if (sinceMs !== undefined) {
        this.#deaf.delete(id);
        this.#late(id, nowMs - sinceMs < brokenAfterMs ? freshMs : reconnectMs);
      }
    }
  }

  #late(id: string, forMs: number): void {
    const untilMs = this.#clock.monotonicMs() + forMs;
    this.#lateUntil.set(id, Math.max(untilMs, this.#lateUntil.get(id) ?? 0));
  }
}
