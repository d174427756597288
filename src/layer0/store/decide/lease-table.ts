// Which leases have ended? Counts only time in which this process ran: a gap between two looks that is far longer
// than the tick means that the process was frozen, and says nothing about the holders.

import type { LeaseRecord } from '../ledger.ts';

/** Longest wait between two looks, milliseconds. */
export const leaseTickMs = 1_000;
/** A gap longer than this counts for nothing. */
export const frozenGapMs = 2 * leaseTickMs;

interface Held {
  ttlMs: number;
  /** In lease time. */
  endsAt: number;
}

export class LeaseTable {
  readonly #held = new Map<string, Held>();
  #leaseTimeMs = 0;
  #lookedAt: number;

  /** Every lease known from before gets its full time again. */
  constructor(leases: LeaseRecord[], monotonicMs: number) {
    this.#lookedAt = monotonicMs;
    for (const lease of leases) this.add(lease);
  }

  get size(): number {
    return this.#held.size;
  }

  /** To be called before anything else is asked, with the present time. */
  observe(monotonicMs: number): void {
    const gapMs = monotonicMs - this.#lookedAt;
    this.#lookedAt = monotonicMs;
    if (gapMs > 0 && gapMs <= frozenGapMs) this.#leaseTimeMs += gapMs;
  }

  has(id: string): boolean {
    return this.#held.has(id);
  }

  add({ id, ttlMs }: LeaseRecord): void {
    this.#held.set(id, { ttlMs, endsAt: this.#leaseTimeMs + ttlMs });
  }

  /** False when the lease has ended. */
  renew(id: string): boolean {
    const held = this.#held.get(id);
    if (!held) return false;
    held.endsAt = this.#leaseTimeMs + held.ttlMs;
    return true;
  }

  keepOnly(ids: ReadonlySet<string | undefined>): void {
    for (const id of [...this.#held.keys()]) if (!ids.has(id)) this.#held.delete(id);
  }

  remove(id: string): void {
    this.#held.delete(id);
  }

  ended(): string[] {
    const ids: string[] = [];
    for (const [id, { endsAt }] of this.#held) if (endsAt <= this.#leaseTimeMs) ids.push(id);
    return ids;
  }

  /** How long to wait before the next look; undefined when no lease is held. */
  nextLookMs(): number | undefined {
    let nextMs: number | undefined;
    for (const { endsAt } of this.#held.values()) {
      const leftMs = Math.max(0, endsAt - this.#leaseTimeMs);
      nextMs = Math.min(nextMs ?? leaseTickMs, leftMs);
    }
    return nextMs;
  }
}
