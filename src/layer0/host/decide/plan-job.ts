// What to do next for one job: the whole life of a process on a host, as a function of what is seen.
// Never two containers of a job at once; nothing is started before everything that runs was adopted.

import type { DrainAnswer } from '#layer0/discovery/client';
import type { Plan, Step } from '../steps.ts';
import type { JobView } from '../view.ts';
import { planDown } from './plan-down.ts';
import { planUp } from './plan-up.ts';

export interface PlanContext {
  hostId: string;
  /** Milliseconds since the epoch: for what is written down. */
  now: number;
  /** By the monotonic clock: for what is waited for. */
  monotonicMs: number;
  /** When waits end that rest on a written time, by the monotonic clock; each with what it rests on. */
  due: { restartMs?: number; startMs?: number };
  /** For the job's instance, once it was marked as draining. */
  drain: DrainAnswer;
}

export function planJob(view: JobView, context: PlanContext): Plan {
  switch (view.intent) {
    case 'leave':
      return { steps: [], wait: { reason: 'the store does not know this job' } };
    case 'stop':
    case 'vacate':
      return planDown(view, context);
    case 'run':
      return view.job ? planUp(view, view.job, context) : { steps: [] };
  }
}

/** Names of a plan's steps, for logs and tests. */
export function kindsOf(steps: readonly Step[]): string[] {
  return steps.map((step) => step.kind);
}
