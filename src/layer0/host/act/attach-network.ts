// The app's network on this machine, and the job's address in it.

import { done, type Executor } from './outcome.ts';

export const attachNetwork: Executor<'attachNetwork'> = async (_step, view, deps) => {
  const { job, memory } = view;
  if (!job) return done;
  await deps.network.ensureAppNetwork(job.app, job.appName);
  memory.attachment = await deps.network.allocate(job.app, job.id, deps.config.hostId);
  memory.isAddressFree = false;
  return done;
};
