// A job that should run: start it, watch it, and after an exit decide about the next attempt.

import type { Job } from '#layer0/scheduler/wire';
import { attemptOf, serviceOf } from '../labels.ts';
import type { Container } from '../runtime/runtime.ts';
import { isFinal } from '../state.ts';
import type { Plan, Step } from '../steps.ts';
import type { JobView } from '../view.ts';
import type { PlanContext } from './plan-job.ts';
import { leaveDiscovery, planStop } from './plan-stop.ts';
import { fixedPorts, openPorts } from './ports.ts';
import { refusalOf } from './refusal.ts';
import { decideRestart, type Ending } from './restart.ts';
import { currentAttempt, currentContainer, sayStatus, statusWith } from './status-of.ts';

export function planUp(view: JobView, job: Job, context: PlanContext): Plan {
  const { status, memory } = view;
  const strays = straysOf(view);
  if (strays.length > 0)
    return {
      steps: strays.map(({ id }) => ({ kind: 'kill', container: id })),
      wait: { reason: 'an attempt that is over still runs' },
    };
  if (isFinal(status)) return planSettled(view, job);
  const container = currentContainer(view);
  if (job.isSingleton && !context.tenure.isHeld) {
    const plan = planWithoutTenure(container, context);
    if (plan) return plan;
  }
  if (container?.state === 'running') return planRunning(view, { job, container, context });
  if (status?.state === 'failed' && status.attempt === currentAttempt(view))
    return planBackoff(view, job, context);
  if (memory.failure) {
    const { reason, isFinal } = memory.failure;
    return planEnd(view, job, { reason, isFinal, ...neverRan(context) });
  }
  if (container?.state === 'exited') return planEnd(view, job, endingOf(view, container, context));
  if (!container && status?.containerId !== undefined)
    return planEnd(view, job, {
      reason: 'its container was removed by somebody else',
      isFinal: false,
      isOutOfMemory: false,
      ranMs: context.now - (status.startedAt ?? context.now),
      endedAt: context.now,
    });
  return planStart(view, { job, container, context });
}

/** Another machine may start it when this one was not heard of: what runs here ends before, and nothing begins. */
function planWithoutTenure(
  container: Container | undefined,
  { tenure }: PlanContext,
): Plan | undefined {
  const reason = 'a singleton runs only while its machine is heard of, and this one is not';
  if (container?.state !== 'running') return { steps: [], wait: { reason } };
  if (!tenure.isOver) return undefined;
  return { steps: [{ kind: 'kill', container: container.id }], wait: { reason } };
}

/** Running containers of attempts that are over: earlier ones, and one that was given up although it runs. */
function straysOf(view: JobView): Container[] {
  const attempt = currentAttempt(view);
  const isOver = view.status?.state === 'failed' && view.status.attempt === attempt;
  return view.containers.filter(
    (container) => container.state === 'running' && (isOver || attemptOf(container) !== attempt),
  );
}

interface Situation {
  job: Job;
  container: Container;
  context: PlanContext;
}

function planStart(
  view: JobView,
  { job, container, context }: Omit<Situation, 'container'> & { container: Container | undefined },
): Plan {
  const refusal = refusalOf(job);
  if (refusal) {
    return planEnd(view, job, { reason: refusal, isFinal: true, ...neverRan(context) });
  }
  if (view.memory.slot !== 'held') {
    const reason = 'waiting for a start slot';
    const isNew = view.memory.slot === 'none';
    const starting = statusWith(view, { state: 'starting', reason }, context);
    return {
      steps: isNew ? [{ kind: 'takeStartSlot' }] : sayStatus(view, starting),
      wait: { reason },
    };
  }
  const attempt = currentAttempt(view);
  const starting = statusWith(view, { state: 'starting', reason: 'starting' }, context);
  if (container)
    return { steps: [...sayStatus(view, starting), { kind: 'start', container: container.id }] };
  return { steps: [...sayStatus(view, starting), ...creationSteps(view, job, attempt)] };
}

function creationSteps(view: JobView, job: Job, attempt: number): Step[] {
  const { spec } = job;
  const steps: Step[] = [{ kind: 'checkImage', image: spec.image }];
  if (spec.mounts.some((mount) => mount.volume !== undefined))
    steps.push({ kind: 'prepareVolumes' });
  if (openPorts(spec).length > 0 && !view.memory.ports) steps.push({ kind: 'choosePorts' });
  if (spec.network === 'app' && !view.memory.attachment) steps.push({ kind: 'attachNetwork' });
  steps.push({ kind: 'create', attempt });
  return steps;
}

function planRunning(view: JobView, { job, container, context }: Situation): Plan {
  const { memory, status } = view;
  if (status?.state === 'stopping' && status.attempt === currentAttempt(view))
    return planStop(view, { container, context, reason: status.reason ?? 'stopping' });
  if (memory.probing !== container.id) {
    const wasHealthy = status?.containerId === container.id && status.isHealthy;
    return { steps: [{ kind: 'watchHealth', container: container.id, wasHealthy }] };
  }
  const wasUp = status?.state === 'up' && status.attempt === currentAttempt(view);
  switch (memory.health.verdict) {
    case 'healthy': {
      const up = statusWith(
        view,
        { state: 'up', isHealthy: true, ...portsOfJob(view, job) },
        context,
      );
      return { steps: [...enterDiscovery(view, job), ...sayStatus(view, up)] };
    }
    case 'unhealthy': {
      const reason = `unhealthy${whereOf(view, job)}: ${memory.health.reason ?? 'no answer'}`;
      const sick = statusWith(
        view,
        { state: 'up', isHealthy: false, reason, ...portsOfJob(view, job) },
        context,
      );
      return { steps: [...leaveDiscovery(view, serviceOf(job)), ...sayStatus(view, sick)] };
    }
    case 'unknown':
      return wasUp ? { steps: [] } : planUnproven(view, { job, context });
  }
}

/** Running, and not healthy for the first time yet. */
function planUnproven(view: JobView, { job, context }: Omit<Situation, 'container'>): Plan {
  const { startTimeoutMs } = job.spec.health;
  const untilMs = context.due.startMs ?? context.monotonicMs + startTimeoutMs;
  const last = view.memory.health.reason ?? 'no answer';
  if (context.monotonicMs >= untilMs) {
    const reason = `not healthy${whereOf(view, job)} within ${startTimeoutMs / 1000} s: ${last}`;
    return {
      steps: sayStatus(view, statusWith(view, { state: 'stopping', reason }, context)),
      wait: { reason },
    };
  }
  const reason = `waiting to be healthy${whereOf(view, job)}`;
  const change = { state: 'starting', reason, ...portsOfJob(view, job) } as const;
  return {
    steps: sayStatus(view, statusWith(view, change, context)),
    wait: { reason, untilMs },
  };
}

function planEnd(view: JobView, job: Job, ending: Ending): Plan {
  const context = { hostId: view.status?.host ?? job.host ?? '', now: ending.endedAt };
  const verdict = decideRestart(job, ending, view.status?.restarts ?? 0);
  const change = {
    ...verdict,
    isOutOfMemory: ending.isOutOfMemory,
    endedAt: ending.endedAt,
    ...(ending.exitCode === undefined ? {} : { exitCode: ending.exitCode }),
  };
  const status = statusWith(view, change, context);
  return { steps: [...leaveDiscovery(view, serviceOf(job)), ...sayStatus(view, status)] };
}

function planBackoff(view: JobView, job: Job, context: PlanContext): Plan {
  const { attempt = 0, reason = 'failed' } = view.status ?? {};
  const { restartMs: untilMs = 0 } = context.due;
  const leave = leaveDiscovery(view, serviceOf(job));
  if (context.monotonicMs < untilMs) return { steps: leave, wait: { reason, untilMs } };
  const change = { attempt: attempt + 1, state: 'starting', reason: 'starting again' } as const;
  const next = statusWith(view, change, context);
  return { steps: [...leave, { kind: 'writeStatus', status: next }] };
}

function planSettled(view: JobView, job: Job): Plan {
  const steps = leaveDiscovery(view, serviceOf(job));
  if (job.spec.network === 'app' && !view.memory.isAddressFree) steps.push({ kind: 'freeAddress' });
  return { steps };
}

function enterDiscovery(view: JobView, job: Job): Step[] {
  const isListed = job.kind === 'service' && job.spec.network !== 'none';
  return isListed && view.memory.registered !== 'up' ? [{ kind: 'register' }] : [];
}

function endingOf(view: JobView, container: Container, context: PlanContext): Ending {
  const endedAt = container.finishedAt ?? context.now;
  const exitCode = container.exitCode ?? 0;
  const limit = Math.round((view.job?.spec.resources.memoryBytes ?? 0) / (1024 * 1024));
  const wasStopped = view.status?.state === 'stopping' ? view.status.reason : undefined;
  return {
    reason:
      wasStopped ??
      (container.isOutOfMemory
        ? `out of memory (limit ${limit} MiB), exit ${exitCode}`
        : `exit ${exitCode}`),
    exitCode,
    isOutOfMemory: container.isOutOfMemory,
    ranMs: endedAt - (container.startedAt ?? endedAt),
    isFinal: false,
    isUnwatched: view.memory.foundEnded === container.id,
    endedAt,
  };
}

function neverRan(context: PlanContext): Omit<Ending, 'reason' | 'isFinal'> {
  return { isOutOfMemory: false, ranMs: 0, endedAt: context.now };
}

function portsOfJob(view: JobView, job: Job): { ports: Record<string, number> } {
  return { ports: { ...fixedPorts(job.spec), ...view.memory.ports } };
}

/** What was probed, for a message: ` on port 8080`. */
function whereOf(view: JobView, { spec }: Job): string {
  const { type, path, command, port } = spec.health;
  if (type === 'command') return ` by the command ${command?.[0] ?? ''}`;
  const name = port ?? spec.ports[0]?.name;
  const number = name && { ...fixedPorts(spec), ...view.memory.ports }[name];
  if (number === undefined || number === '') return '';
  return type === 'http' ? ` on port ${number} (GET ${path ?? '/'})` : ` on port ${number}`;
}
