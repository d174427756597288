// Since when has a deployment made no step, as far as this leader can know? A time in which nobody led, and a jump of the
// wall clock, are nobody's delay: they must not fail a deployment.

import type { Clock } from '#core/clock';
import type { Deployment } from './wire.ts';

export class Patience {
  readonly #clock: Clock;
  readonly #seen = new Map<string, { progressAt: number; sinceMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Of these unfinished deployments of one app, with `progressAt` by the clock of this leader. */
  adjust(deployments: readonly Deployment[]): Deployment[] {
    return deployments.map((deployment) => {
      const waitedMs = this.#clock.monotonicMs() - this.#since(deployment);
      return { ...deployment, progressAt: this.#clock.now() - waitedMs };
    });
  }

  /** Deployments that are not among these have ended. */
  forgetAllBut(unfinished: ReadonlySet<string>): void {
    for (const id of this.#seen.keys()) if (!unfinished.has(id)) this.#seen.delete(id);
  }

  #since({ id, progressAt }: Deployment): number {
    const seen = this.#seen.get(id);
    if (seen?.progressAt === progressAt) return seen.sinceMs;
    const sinceMs = this.#clock.monotonicMs();
    this.#seen.set(id, { progressAt, sinceMs });
    return sinceMs;
  }
}
