// Starts a created container; one that runs already is where it should be.

import { done, type Executor, failedByEngine } from './outcome.ts';

export const start: Executor<'start'> = async (step, view, deps) => {
  // A start whose answer was lost may have been one; starting what has ended since would run it again.
  if (view.memory.startTried === step.container) {
    await deps.engine.refresh(step.container);
    const container = deps.engine.of(view.jobId).find(({ id }) => id === step.container);
    if (container?.state !== 'created') return done;
  }
  if (view.job?.isSingleton) {
    await deps.tenure.guard(step.container);
    if (!deps.tenure.isHeld) return done;
  }
  view.memory.startTried = step.container;
  try {
    await deps.runtime.start(step.container);
  } catch (error) {
    await deps.engine.refresh(step.container);
    return failedByEngine(error, 'cannot start the container');
  }
  await deps.engine.refresh(step.container);
  return done;
};
