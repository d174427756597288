// The container of an attempt. The only place where config values are opened.

import { hasCode } from '#core/errors';
import type { Job } from '#layer0/scheduler/wire';
import { containerSpec } from '../decide/container-spec.ts';
import { configContext, type Seal } from '../seal.ts';
import { done, type Executor, failedByEngine } from './outcome.ts';

export const create: Executor<'create'> = async (step, view, deps) => {
  const { job, memory } = view;
  if (!job) return done;
  const opened = openConfig(job, deps.seal);
  if (!('config' in opened)) return { failed: { reason: opened.reason, isFinal: false } };
  const spec = containerSpec({
    job,
    attempt: step.attempt,
    clusterId: deps.config.clusterId,
    hostId: deps.config.hostId,
    incarnation: deps.incarnation(),
    home: deps.config.home,
    chosenPorts: memory.ports ?? {},
    config: opened.config,
    attachment: memory.attachment,
  });
  memory.registered = 'no';
  try {
    const id = await deps.runtime.create(spec);
    // Before it can run: what the fence does not know of it cannot end.
    if (job.isSingleton) await deps.tenure.guard(id);
    await deps.engine.refresh(id);
    return done;
  } catch (error) {
    return failedByEngine(error, 'cannot create the container');
  }
};

function openConfig(job: Job, seal: Seal): { config: Record<string, string> } | { reason: string } {
  const config: Record<string, string> = {};
  for (const [name, sealed] of Object.entries(job.spec.sealedEnv)) {
    try {
      config[name] = seal.open(configContext(job.app, name), sealed);
    } catch (error) {
      if (!hasCode(error, 'host.sealBroken')) throw error;
      return {
        reason: `host.sealBroken: the config value ${name} cannot be opened: set it again with \`gantry env set ${name}=...\``,
      };
    }
  }
  return { config };
}
