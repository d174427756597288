// How far a job is on this host: (attempt, state) only ever grows. This table is the whole truth about that.

import type { JobStatus } from './wire.ts';

export type HostState = JobStatus['state'];

/** From each state, where the same attempt may go next. A later attempt may begin from any but `down`. */
export const transitions: Record<HostState, readonly HostState[]> = {
  starting: ['up', 'stopping', 'failed', 'down'],
  up: ['stopping', 'failed', 'down'],
  stopping: ['failed', 'down'],
  failed: ['down'],
  down: [],
};

type Position = Pick<JobStatus, 'attempt' | 'state'>;

/** May a status follow another one? The same position again is allowed: its reason or health changed. */
export function mayFollow(before: Position | undefined, after: Position): boolean {
  if (!before) return true;
  if (after.attempt === before.attempt)
    return after.state === before.state || transitions[before.state].includes(after.state);
  return after.attempt > before.attempt && before.state !== 'down';
}

/** Nothing will run for this job again, whatever its record asks. */
export function isFinal(status: JobStatus | undefined): boolean {
  if (!status) return false;
  return status.state === 'down' || (status.state === 'failed' && status.restartAt === undefined);
}
