// Which waiting jobs have a place now, and what do the others wait for? Jobs of one kind, highest priority first.

import type { ClusterState, KnownJob } from '../cluster-state.ts';
import { groupOf } from '../state.ts';
import type { Job } from '../wire.ts';
import { placeJob } from './place-job.ts';
import type { Planning, Step } from './steps.ts';

export function* placePending(
  state: ClusterState,
  kind: Job['kind'],
  { board, context }: Planning,
): Generator<Step> {
  /** What one of a group waits for, all of it wait for. */
  const refused = new Map<string, string>();
  for (const { job } of waiting(state, kind)) {
    const group = `${groupOf(job)}/${job.kind === 'ephemeral' ? job.id : ''}`;
    let reason = refused.get(group);
    if (reason === undefined) {
      const placement = placeJob(board, job, context.limits);
      if ('host' in placement) {
        board.add(placement.host, job);
        yield { kind: 'place', jobId: job.id, host: placement.host };
        continue;
      }
      reason = placement.pendingReason;
      refused.set(group, reason);
    }
    if (reason !== job.pendingReason)
      yield { kind: 'explain', jobId: job.id, pendingReason: reason };
  }
}

function waiting(state: ClusterState, kind: Job['kind']): KnownJob[] {
  const jobs: KnownJob[] = [];
  for (const id of state.pending[kind]) {
    const known = state.jobs.get(id);
    if (known?.job.desired === 'up') jobs.push(known);
  }
  return jobs.sort(
    ({ job: a }, { job: b }) =>
      b.priority - a.priority || a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1),
  );
}
