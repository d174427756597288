// Signals, kills and removes containers, and gives a job's address back.

import { done, type Executor } from './outcome.ts';

export const signal: Executor<'signal'> = async (step, view, deps) => {
  await deps.runtime.signal(step.container, step.signal);
  view.memory.signalledAtMs ??= deps.clock.monotonicMs();
  return done;
};

/** Looks at the container afterwards: should the event be lost, the next round still sees the end. */
export const kill: Executor<'kill'> = async (step, view, deps) => {
  await deps.runtime.signal(step.container, 'SIGKILL');
  view.memory.killedAtMs = deps.clock.monotonicMs();
  await deps.engine.refresh(step.container);
  return done;
};

export const remove: Executor<'remove'> = async (step, _view, deps) => {
  await deps.runtime.remove(step.container);
  deps.engine.forget(step.container);
  return done;
};

/** Only planned when no container of the job runs. */
export const freeAddress: Executor<'freeAddress'> = async (_step, view, deps) => {
  await deps.network.release(view.jobId);
  delete view.memory.attachment;
  view.memory.isAddressFree = true;
  return done;
};
