// Would a job that runs be placed elsewhere if it came now, and would that make the cluster noticeably more even?

import type { KnownJob } from '../cluster-state.ts';
import { isBound, matchesConstraint, matchesTags } from '../state.ts';
import { type Demand, demandOf, peersBesides, peersOn, tagValueOf } from './demand.ts';
import { placeJob } from './place-job.ts';
import type { PlanBoard } from './plan-board.ts';
import type { PlacementLimits } from './steps.ts';

/** Of what may be promised: a smaller difference between two hosts is not worth a move. */
const worthwhileShare = 0.1;

/** Never true of a job that would come back: what this moves makes the difference smaller. */
export function hasBetterPlace(
  board: PlanBoard,
  { job, host }: KnownJob,
  limits: PlacementLimits,
): boolean {
  if (!host || job.isOnePerHost || job.scheduler !== undefined || isBound(job)) return false;
  const placement = placeJob(board, job, limits);
  const there = 'host' in placement ? board.slotOf(placement.host) : undefined;
  if (there === undefined || there === host.slot) return false;
  const { tags = {}, constraints = [] } = { tags: job.spec.tags, ...job.rules };
  const isAllowed = constraints.every((constraint) => matchesConstraint(host.tags, constraint));
  if (!isAllowed || !matchesTags(host.tags, tags)) return true;
  if (job.placement === 'binpack') return false;
  const demand = demandOf(board, job, limits);
  const byTag = evenerByTag(demand, host.slot, there);
  if (byTag !== 0) return byTag > 0;
  const byHost = peersOn(demand, host.slot) - (peersOn(demand, there) + 1);
  if (byHost !== 0) return byHost > 0;
  const promised = board.shareWith({ ...demand, memoryBytes: 0, cpuMillis: 0 }, host.slot);
  return promised - board.shareWith(demand, there) >= worthwhileShare;
}

/** More than 0: hosts with one value of the tag have so many more of the group as those with the other will have. */
function evenerByTag(demand: Demand, from: number, to: number): number {
  if (tagValueOf(demand, from) === tagValueOf(demand, to)) return 0;
  return peersBesides(demand, from) - (peersBesides(demand, to) + 1);
}
