// A job that should end: drain and stop what runs, remove what never ran, give everything back, say `down`.

import { attemptOf, serviceOf } from '../labels.ts';
import type { Plan, Step } from '../steps.ts';
import type { JobView } from '../view.ts';
import type { PlanContext } from './plan-job.ts';
import { leaveDiscovery, planStop } from './plan-stop.ts';
import { currentContainer, sayStatus, statusWith } from './status-of.ts';

export function planDown(view: JobView, context: PlanContext): Plan {
  const running = view.containers.findLast((container) => container.state === 'running');
  const isOurs = view.intent === 'stop';
  if (running) {
    const reason = isOurs ? 'stopping' : 'its record is gone';
    const stop = planStop(view, { container: running, context, reason });
    if (!isOurs || view.status?.state === 'failed' || view.status?.state === 'down') return stop;
    const change = { state: 'stopping', reason, attempt: attemptOf(running) } as const;
    return {
      ...stop,
      steps: [...sayStatus(view, statusWith(view, change, context)), ...stop.steps],
    };
  }
  const unstarted = view.containers.filter((container) => container.state === 'created');
  const steps: Step[] = unstarted.map(({ id }) => ({ kind: 'remove', container: id }));
  const source = view.job ?? view.containers.at(-1);
  if (source) steps.push(...leaveDiscovery(view, serviceOf(source)));
  if (view.memory.probing !== undefined) steps.push({ kind: 'unwatchHealth' });
  if (!view.memory.isAddressFree && view.job?.spec.network !== 'host')
    steps.push({ kind: 'freeAddress' });
  if (isOurs) steps.push(...sayDown(view, context));
  return { steps };
}

/** A failed ephemeral job stays failed: its end is what people ask for. */
function sayDown(view: JobView, context: PlanContext): Step[] {
  const { status, job } = view;
  if (status?.state === 'down') return [];
  const isEnded = status?.state === 'failed' && status.restartAt === undefined;
  if (isEnded && job?.kind === 'ephemeral') return [];
  const container = currentContainer(view);
  const endedAt = container?.finishedAt ?? status?.endedAt ?? context.now;
  const exitCode = container?.exitCode ?? status?.exitCode;
  const change = {
    state: 'down',
    endedAt,
    ...(exitCode === undefined ? {} : { exitCode }),
  } as const;
  return sayStatus(view, statusWith(view, change, context));
}
