// Says how far a job is. The store gets it in a batch; what this process decides on changes at once.

import { mayFollow } from '../state.ts';
import { emptyMemory } from '../view.ts';
import { done, type Executor } from './outcome.ts';

export const writeStatus: Executor<'writeStatus'> = async (step, view, deps) => {
  const { status } = step;
  const before = view.status;
  if (!mayFollow(before, status))
    throw new Error(
      `job ${view.jobId} would go back from ${before?.attempt}/${before?.state} to ${status.attempt}/${status.state}`,
    );
  if (status.state === 'failed' || status.state === 'down') {
    deps.prober.unwatch(view.jobId);
    deps.ports.release(view.jobId);
    delete view.memory.failure;
  }
  if (before && status.attempt > before.attempt) forgetAttempt(view.memory);
  view.status = status;
  deps.statuses.put(status);
  return done;
};

/** A new attempt begins with nothing of the last one but its address. */
function forgetAttempt(memory: ReturnType<typeof emptyMemory>): void {
  const { attachment, isAddressFree, slot, registered } = memory;
  for (const name of Object.keys(memory)) Reflect.deleteProperty(memory, name);
  Object.assign(memory, emptyMemory(), { isAddressFree, slot, registered });
  if (attachment) memory.attachment = attachment;
}
