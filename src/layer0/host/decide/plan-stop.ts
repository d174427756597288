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
  if (memory.registered === 'asked') return { steps: [{ kind: 'unregister', service }] };
  if (memory.registered === 'up' || memory.registered === 'unknown')
    return { steps: [{ kind: 'markDraining', service }] };
  if (memory.registered === 'draining' && memory.signalledAtMs === undefined) {
    const sinceMs = memory.drainingSinceMs ?? context.monotonicMs;
    const untilMs = sinceMs + (job?.spec.drainMs ?? 0);
    if (!context.drain.mayStop && context.monotonicMs < untilMs)
      return { steps: [], wait: { reason: context.drain.waitsFor.join('; ') || reason, untilMs } };
  }
  const id = container.id;
  if (memory.signalledAtMs === undefined) {
    const signal = job?.spec.stopSignal ?? 'SIGTERM';
    return { steps: [{ kind: 'unwatchHealth' }, { kind: 'signal', container: id, signal }] };
  }
  const killAtMs =
    memory.killedAtMs === undefined
      ? memory.signalledAtMs + (job?.spec.stopGraceMs ?? orphanGraceMs)
      : memory.killedAtMs + killRetryMs;
  if (context.monotonicMs >= killAtMs) return { steps: [{ kind: 'kill', container: id }] };
  const waited = memory.killedAtMs === undefined ? 'waiting for it to end' : 'killed';
  return { steps: [], wait: { reason: `${reason}: ${waited}`, untilMs: killAtMs } };
}

/** Out of discovery, unless it is known not to be there. */
export function leaveDiscovery(view: JobView, service: string): Step[] {
  return view.memory.registered === 'no' ? [] : [{ kind: 'unregister', service }];
}
