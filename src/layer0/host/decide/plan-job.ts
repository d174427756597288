// What to do next for one job: the whole life of a process on a host, as a function of what is seen.
// Never two containers of a job at once; nothing is started before everything that runs was adopted.

import type { DrainAnswer } from '#layer0/discovery/client';
import { serviceOf } from '../labels.ts';
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
  /** Of the machine, for singletons: whether one may be started, and whether one that runs must end. */
  tenure: { isHeld: boolean; isOver: boolean };
}

export function planJob(view: JobView, context: PlanContext): Plan {
  switch (view.intent) {
    case 'leave':
      return planLeft(view);
    case 'stop':
    case 'vacate':
      return planDown(view, context);
    case 'run':
      return view.job ? planUp(view, view.job, context) : { steps: [] };
  }
}

/** Nobody may end it. Once it has ended by itself, nobody shall look for it there. */
function planLeft({ containers, memory, job }: JobView): Plan {
  const source = job ?? containers.at(-1);
  const isRunning = containers.some(({ state }) => state === 'running');
  // What an earlier life of the agent registered ended with that life's lease.
  const isOwn = memory.registered !== 'no' && memory.registered !== 'unknown';
  if (!source || isRunning || !isOwn)
    return { steps: [], wait: { reason: 'the store does not know this job' } };
  return { steps: [{ kind: 'unwatchHealth' }, { kind: 'unregister', service: serviceOf(source) }] };
}

/** Names of a plan's steps, for logs and tests. */
export function kindsOf(steps: readonly Step[]): string[] {
  return steps.map((step) => step.kind);
}
