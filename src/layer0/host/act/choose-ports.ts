// Loopback ports for a process on the host network that lets the host choose.

import { openPorts } from '../decide/ports.ts';
import { done, type Executor } from './outcome.ts';

export const choosePorts: Executor<'choosePorts'> = async (_step, view, deps) => {
  if (view.job) view.memory.ports = await deps.ports.reserve(view.jobId, openPorts(view.job.spec));
  return done;
};
