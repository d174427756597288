// A place among the starts at once.

import { done, type Executor } from './outcome.ts';

export const takeStartSlot: Executor<'takeStartSlot'> = async (_step, view, deps) => {
  const { memory, jobId } = view;
  const isHeld = deps.slots.take(jobId, () => {
    memory.slot = 'held';
    deps.trigger(jobId);
  });
  memory.slot = isHeld ? 'held' : 'queued';
  return done;
};
