// Probes what runs, one look in flight per job, and tells when the verdict changes.
// Fast until first healthy; then `failures` looks in a row must fail before a job counts as unhealthy.

import type { Clock, Timer } from '#core/clock';
import type { Random } from '#core/random';
import { maxProbesAtOnce, startingProbeMs } from '../config.ts';
import type { Health } from '../view.ts';
import {
  type HealthCheck,
  isProbed,
  type Probe,
  type ProbeResult,
  type ProbeTarget,
} from './probe.ts';
import { afterProbe } from './verdict.ts';

export interface Watch {
  target: ProbeTarget;
  check: HealthCheck;
  wasHealthy: boolean;
  /** The verdict, or before the first healthy look the reason, changed. */
  onVerdict(health: Health): void;
}

interface Watched extends Watch {
  health: Health;
  failuresInRow: number;
  timer: Timer | undefined;
}

export interface ProberDeps {
  probe: Probe;
  clock: Clock;
  random: Random;
}

export class Prober {
  readonly #deps: ProberDeps;
  readonly #watched = new Map<string, Watched>();
  readonly #waiting: (() => void)[] = [];
  #inFlight = 0;

  constructor(deps: ProberDeps) {
    this.#deps = deps;
  }

  /** Replaces what was watched for the job. Without anything to look at, running is healthy. */
  watch(jobId: string, watch: Watch): void {
    this.unwatch(jobId);
    const health: Health = { verdict: watch.wasHealthy ? 'healthy' : 'unknown' };
    const watched: Watched = { ...watch, health, failuresInRow: 0, timer: undefined };
    this.#watched.set(jobId, watched);
    if (isProbed(watch.target, watch.check)) this.#look(jobId, watched);
    else watch.onVerdict({ verdict: 'healthy' });
  }

  unwatch(jobId: string): void {
    this.#watched.get(jobId)?.timer?.cancel();
    this.#watched.delete(jobId);
  }

  stop(): void {
    for (const jobId of [...this.#watched.keys()]) this.unwatch(jobId);
  }

  get size(): number {
    return this.#watched.size;
  }

  #look(jobId: string, watched: Watched): void {
    if (this.#watched.get(jobId) !== watched) return;
    if (this.#inFlight >= maxProbesAtOnce) {
      this.#waiting.push(() => this.#look(jobId, watched));
      return;
    }
    this.#inFlight++;
    const look = this.#deps.probe(watched.target, watched.check);
    void look
      .catch((error: unknown) => String(error))
      .then((result) => {
        this.#inFlight--;
        this.#letIn();
        this.#heard(jobId, watched, result);
      });
  }

  /** Those who left meanwhile take no place: the next one in the queue gets it. */
  #letIn(): void {
    while (this.#inFlight < maxProbesAtOnce) {
      const next = this.#waiting.shift();
      if (!next) return;
      next();
    }
  }

  #heard(jobId: string, watched: Watched, result: ProbeResult): void {
    if (this.#watched.get(jobId) !== watched) return;
    const { clock, random } = this.#deps;
    const next = afterProbe(watched, watched.check.failures, result);
    const { verdict, reason } = watched.health;
    const isNews = next.health.verdict !== verdict || next.health.reason !== reason;
    Object.assign(watched, next);
    const pauseMs =
      next.health.verdict === 'unknown'
        ? startingProbeMs
        : watched.check.intervalMs * (0.9 + 0.2 * random());
    watched.timer = clock.timer(pauseMs, () => this.#look(jobId, watched));
    if (isNews) watched.onVerdict(next.health);
  }
}
