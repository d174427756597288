// Ends one running container: out of traffic, wait for its requests, ask it to end, then make it end.

import { killRetryMs, lostRouterMs, orphanGraceMs } from '../config.ts';
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
    const drainMs = job?.spec.drainMs ?? 0;
    const { isForLostOnly } = context.drain;
    const untilMs = sinceMs + (isForLostOnly ? Math.min(drainMs, lostRouterMs) : drainMs);
    if (!context.drain.mayStop && context.monotonicMs < untilMs)
      return { steps: [], wait: waitForDrain(context, { reason, untilMs }) };
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

/** Nobody tells when a machine is lost: it is looked at again before long. */
function waitForDrain(
  { drain, monotonicMs }: PlanContext,
  { reason, untilMs }: DrainWait,
): DrainWait {
  const soonMs = monotonicMs + lostRouterMs;
  return { reason: drain.waitsFor.join('; ') || reason, untilMs: Math.min(untilMs, soonMs) };
}

interface DrainWait {
  reason: string;
  untilMs: number;
}

/** Out of discovery, unless it is known not to be there. */
export function leaveDiscovery(view: JobView, service: string): Step[] {
  return view.memory.registered === 'no' ? [] : [{ kind: 'unregister', service }];
}
