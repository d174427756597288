// Which waiting jobs have a place now, and what do the others wait for? Jobs of one kind, highest priority first.

import type { ClusterState } from '../cluster-state.ts';
import { groupOf } from '../state.ts';
import type { Job } from '../wire.ts';
import { placeJob } from './place-job.ts';
import type { PlanBoard } from './plan-board.ts';
import type { PlacementRule } from './scores.ts';
import type { Planning, Step } from './steps.ts';

/** Which of them: from this priority up to, and without, another. */
export interface PriorityRange {
  from: number;
  below: number;
}

const anyPriority = { from: Number.NEGATIVE_INFINITY, below: Number.POSITIVE_INFINITY };

export function* placePending(
  state: ClusterState,
  kind: Job['kind'],
  { board, context }: Planning,
  range: PriorityRange = anyPriority,
): Generator<Step> {
  /** What one of a group waits for, all of it wait for. */
  const refused = new Map<string, string>();
  for (const { job, rule } of inOrder(waiting(state, kind, range), board)) {
    const group = `${groupOf(job)}/${job.kind === 'ephemeral' ? job.id : ''}`;
    let reason = refused.get(group);
    if (reason === undefined) {
      const placement = placeJob(board, job, context.limits, rule);
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

function waiting(state: ClusterState, kind: Job['kind'], { from, below }: PriorityRange): Job[] {
  const jobs: Job[] = [];
  for (const id of state.pending[kind]) {
    const job = state.jobs.get(id)?.job;
    if (job?.scheduler !== undefined) continue;
    if (job?.desired === 'up' && job.priority >= from && job.priority < below) jobs.push(job);
  }
  return jobs;
}

/**
 * By priority, then by age. A batch to be packed, at least a job for each host, goes largest first instead of by age, and
 * by the rule that fills hosts best: small jobs find room beside large ones, not the other way round.
 */
function inOrder(jobs: Job[], board: PlanBoard): { job: Job; rule: PlacementRule }[] {
  const packed = jobs.filter(({ placement }) => placement === 'binpack').length;
  const isBatch = packed > 1 && packed >= board.size;
  const sizeOf = isBatch ? sizes(board) : () => 0;
  return jobs
    .map((job) => {
      const isFilling = isBatch && job.placement === 'binpack';
      if (isFilling) return { job, rule: 'fill' as const, size: sizeOf(job) };
      const isAside = job.kind === 'ephemeral' && job.placement === 'spread';
      return { job, rule: isAside ? ('aside' as const) : job.placement, size: 0 };
    })
    .sort(
      ({ job: a, ...first }, { job: b, ...second }) =>
        b.priority - a.priority ||
        second.size - first.size ||
        a.createdAt - b.createdAt ||
        (a.id < b.id ? -1 : 1),
    );
}

/** The share of all hosts that a job asks for, memory and cpu added up. */
function sizes(board: PlanBoard): (job: Job) => number {
  let [memory, cpu] = [1, 1];
  for (let slot = 0; slot < board.size; slot++) {
    memory += board.index.offeredMemoryBytes[slot] ?? 0;
    cpu += board.index.offeredCpuMillis[slot] ?? 0;
  }
  return ({ spec: { resources } }) => resources.memoryBytes / memory + resources.cpuMillis / cpu;
}
