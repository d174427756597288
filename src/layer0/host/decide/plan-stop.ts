// Ends one running container: out of traffic, wait for its requests, ask it to end, then make it end.

import { killRetryMs, orphanGraceMs } from '../config.ts';
import { serviceOf } from '../labels.ts';
import type { Container } from '../runtime/runtime.ts';
import type { Plan, Step } from '../steps.ts';
import type { JobView } from '../view.ts';
import type { PlanContext } from './plan-job.ts';

interface Situation {
  container: Container;
  context: PlanContext;
  /** Why it stops, for people. */
  reason: string;
}

export function planStop(view: JobView, { container, context, reason }: Situation): Plan {
  const { memory, job } = view;
  const service = serviceOf(job ?? container);
  if (memory.registered === 'up' || memory.registered === 'unknown')
    return { steps: [{ kind: 'markDraining', service }] };
  if (memory.registered === 'draining' && memory.signalledAt === undefined) {
    const until = (memory.drainingSince ?? context.now) + (job?.spec.drainMs ?? 0);
    if (!context.drain.mayStop && context.now < until)
      return { steps: [], wait: { reason: context.drain.waitsFor.join('; ') || reason, until } };
  }
  const id = container.id;
  if (memory.signalledAt === undefined) {
    const signal = job?.spec.stopSignal ?? 'SIGTERM';
    return { steps: [{ kind: 'unwatchHealth' }, { kind: 'signal', container: id, signal }] };
  }
  const killAt =
    memory.killedAt === undefined
      ? memory.signalledAt + (job?.spec.stopGraceMs ?? orphanGraceMs)
      : memory.killedAt + killRetryMs;
  if (context.now >= killAt) return { steps: [{ kind: 'kill', container: id }] };
  const waited = memory.killedAt === undefined ? 'waiting for it to end' : 'killed';
  return { steps: [], wait: { reason: `${reason}: ${waited}`, until: killAt } };
}

/** Out of discovery, unless it is known not to be there. */
export function leaveDiscovery(view: JobView, service: string): Step[] {
  return view.memory.registered === 'no' ? [] : [{ kind: 'unregister', service }];
}
