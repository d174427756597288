// Begins and ends the probing of a job's container.

import { firstPort, fixedPorts } from '../decide/ports.ts';
import { currentContainer } from '../decide/status-of.ts';
import type { ProbeTarget } from '../health/probe.ts';
import type { JobView } from '../view.ts';
import { done, type Executor } from './outcome.ts';

export const watchHealth: Executor<'watchHealth'> = async (step, view, deps) => {
  const { job, memory } = view;
  const target = targetOf(view, step.container);
  if (!job || !target) return done;
  memory.probing = step.container;
  memory.health = { verdict: step.wasHealthy ? 'healthy' : 'unknown' };
  deps.prober.watch(view.jobId, {
    target,
    check: job.spec.health,
    wasHealthy: step.wasHealthy,
    onVerdict: (health) => {
      if (memory.probing !== step.container) return;
      memory.health = health;
      deps.trigger(view.jobId);
    },
  });
  return done;
};

export const unwatchHealth: Executor<'unwatchHealth'> = async (_step, view, deps) => {
  deps.prober.unwatch(view.jobId);
  delete view.memory.probing;
  return done;
};

function targetOf(view: JobView, container: string): ProbeTarget | undefined {
  const { job, memory } = view;
  if (!job) return undefined;
  const { spec } = job;
  const isHost = spec.network === 'host';
  const address = isHost ? '127.0.0.1' : (currentContainer(view)?.ip ?? memory.attachment?.ip);
  const ports = { ...fixedPorts(spec), ...memory.ports };
  const port = spec.health.port ? ports[spec.health.port] : firstPort(spec, ports);
  return {
    container,
    ...(address === undefined ? {} : { address }),
    ...(port === undefined ? {} : { port }),
  };
}
