// For how long has a job been healthy without a break, as far as this leader saw? By the monotonic clock: a wall clock that
// is set makes nobody steady. A new leader begins to count anew; it waits once more, and nothing else.

import type { Clock } from '#core/clock';
import type { SeenJob } from './decide/app-view.ts';

interface Since {
  attempt: number;
  ms: number;
}

export class Steadiness {
  readonly #clock: Clock;
  readonly #healthySince = new Map<string, Map<string, Since>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Of all jobs of one app. A restart in between shows in the attempt, also when nobody saw it down. */
  measure(app: string, jobs: readonly SeenJob[]): SeenJob[] {
    const before = this.#healthySince.get(app);
    const after = new Map<string, Since>();
    const now = this.#clock.monotonicMs();
    const measured = jobs.map((job) => {
      if (job.state !== 'up' || !job.isHealthy) return job;
      const known = before?.get(job.id);
      const since = known?.attempt === job.attempt ? known : { attempt: job.attempt, ms: now };
      after.set(job.id, since);
      return { ...job, healthyForMs: now - since.ms };
    });
    this.#healthySince.set(app, after);
    return measured;
  }

  /** Apps that are not among these are gone. */
  forgetAllBut(apps: ReadonlySet<string>): void {
    for (const app of this.#healthySince.keys()) if (!apps.has(app)) this.#healthySince.delete(app);
  }
}
