// Into discovery, to draining, out of it. An instance of an earlier life of this agent is taken over first.

import { hasCode, toAppError } from '#core/errors';
import type { DiscoveryClient, Instance } from '#layer0/discovery/client';
import { handleOf } from '#layer0/discovery/client';
import { instanceOf } from '../decide/instance.ts';
import type { JobView } from '../view.ts';
import { done, type Executor } from './outcome.ts';

export const register: Executor<'register'> = async (_step, view, deps) => {
  const instance = view.job && instanceOf(view, view.job, deps.config.hostId);
  if (!instance) return done;
  // One that fails stays wanted: whatever comes of it, it is to be taken back.
  view.memory.registered = 'asked';
  await deps.discovery.register({ ...instance, state: 'up' });
  view.memory.registered = 'up';
  return done;
};

export const markDraining: Executor<'markDraining'> = async (step, view, deps) => {
  const { memory } = view;
  const listed = await find(deps.discovery, step.service, view);
  if (!listed && memory.registered === 'unknown') {
    memory.registered = 'no';
    return done;
  }
  // It is wanted from here on, also when this fails and the lease of the earlier life ends: it is to be taken back.
  if (memory.registered === 'unknown') memory.registered = 'up';
  const own = view.job && instanceOf(view, view.job, deps.config.hostId);
  const instance = own ?? listed;
  memory.drainingSinceMs ??= deps.clock.monotonicMs();
  if (instance) await deps.discovery.register({ ...instance, state: 'draining' });
  else await deps.discovery.deregister({ service: step.service, handle: view.jobId });
  memory.registered = instance ? 'draining' : 'no';
  return done;
};

export const unregister: Executor<'unregister'> = async (step, view, deps) => {
  const { memory } = view;
  const ref = { service: step.service, handle: view.jobId };
  try {
    if (memory.registered === 'unknown') {
      const listed = await find(deps.discovery, step.service, view);
      if (listed) await deps.discovery.register(listed);
    }
    await deps.discovery.deregister(ref);
  } catch (error) {
    // Discovery writes it as soon as the store is back; a restart must not wait for that.
    const isTaken = memory.registered !== 'unknown' && toAppError(error).retry;
    if (!isTaken && !hasCode(error, 'discovery.notRegistered')) throw error;
  }
  memory.registered = 'no';
  return done;
};

async function find(
  discovery: DiscoveryClient,
  service: string,
  view: JobView,
): Promise<Instance | undefined> {
  await discovery.ready();
  return discovery.instances(service).find((instance) => handleOf(instance) === view.jobId);
}
