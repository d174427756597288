// How often may each caller call? A bucket of tokens for each, which fills at a steady rate and lets a burst through.
// In memory: a restart forgives. As many callers as are remembered at a time are bounded.

import type { Clock } from './clock.ts';

export interface Rate {
  perSecond: number;
  /** Calls at once, after a pause long enough. */
  burst: number;
}

/** Callers remembered at a time; beyond it the one that called longest ago is forgiven. */
const maxCallers = 10_000;

interface Bucket {
  tokens: number;
  atMs: number;
}

export class RateLimit {
  readonly #rate: Rate;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  /** The one that called last is the last one. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate, clock: Pick<Clock, 'monotonicMs'>) {
    this.#rate = rate;
    this.#clock = clock;
  }

  /** Milliseconds until a call of this cost may be made; 0: now. A cost above the burst waits for a full bucket. */
  waitMs(caller: string, cost = 1): number {
    const missing = Math.min(cost, this.#rate.burst) - this.#tokensOf(caller);
    return Math.max(0, Math.ceil((missing / this.#rate.perSecond) * 1_000));
  }

  /** Takes the cost of a call if it may be made; answers as `waitMs`. */
  take(caller: string, cost = 1): number {
    const waitMs = this.waitMs(caller, cost);
    if (waitMs > 0) return waitMs;
    const tokens = Math.max(0, this.#tokensOf(caller) - cost);
    this.#buckets.delete(caller);
    this.#buckets.set(caller, { tokens, atMs: this.#clock.monotonicMs() });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > maxCallers && oldest !== undefined) this.#buckets.delete(oldest);
    return 0;
  }

  #tokensOf(caller: string): number {
    const { perSecond, burst } = this.#rate;
    const bucket = this.#buckets.get(caller);
    if (!bucket) return burst;
    const grown = ((this.#clock.monotonicMs() - bucket.atMs) / 1_000) * perSecond;
    return Math.min(burst, bucket.tokens + grown);
  }
}
