// When is a host given up? Unknown is not dead: only long after its lease ended, and only while somebody else is there.

import { hostAliveKey } from '#layer0/host/wire';
import type { ClusterState } from '../cluster-state.ts';
import type { KnownHost } from '../host-index.ts';
import { isBound } from '../state.ts';
import type { Job } from '../wire.ts';
import type { DecideContext, RestsOn } from './steps.ts';

export type Patience = Pick<DecideContext, 'monotonicMs' | 'hostLossGraceMs' | 'hostLeaseMs'>;

export function isLost(state: ClusterState, hostId: string, context: Patience): boolean {
  const host = state.hosts.get(hostId);
  if (!host || host.awaySince === undefined) return false;
  if (context.monotonicMs - host.awaySince < graceOf(host, context)) return false;
  return isAnyoneThere(state);
}

/**
 * May a job be made anew elsewhere? Sooner than its host counts as lost, when that does not answer those that listen for it and
 * a second one of the job does no harm: should the machine be back, one of them stops.
 */
export function isReplaceable(state: ClusterState, job: Job, context: Patience): boolean {
  if (job.host === undefined) return false;
  return isLost(state, job.host, context) || isSilent(state, job);
}

/** What a replacement of it rests on. */
export function restOfLoss(state: ClusterState, job: Job, context: Patience): RestsOn {
  const { host = '' } = job;
  if (isLost(state, host, context)) return { absent: [hostAliveKey(host)] };
  return { silent: host };
}

function isSilent(state: ClusterState, job: Job): boolean {
  const mayRunTwice = !job.isSingleton && !isBound(job);
  const { host = '' } = job;
  return mayRunTwice && state.hosts.get(host)?.silentBy !== undefined && isAnyoneThere(state);
}

/**
 * The lease of a host that was taken out did not run out by itself: the host may believe for as long as it lasts that it
 * has it, and runs its singletons.
 */
function graceOf({ record }: KnownHost, { hostLossGraceMs, hostLeaseMs }: Patience): number {
  return record ? hostLossGraceMs : hostLeaseMs + hostLossGraceMs;
}

/** How long until the next host that is away counts as lost; undefined when none waits for that. */
export function nextLossInMs(state: ClusterState, context: Patience): number | undefined {
  if (!isAnyoneThere(state)) return undefined;
  let nextMs: number | undefined;
  for (const host of state.away) {
    if (host.awaySince === undefined || host.records === 0) continue;
    const leftMs = host.awaySince + graceOf(host, context) - context.monotonicMs;
    if (leftMs > 0) nextMs = Math.min(nextMs ?? leftMs, leftMs);
  }
  return nextMs;
}

/** A scheduler that sees no host at all is the one that is cut off. */
function isAnyoneThere(state: ClusterState): boolean {
  for (const host of state.hosts.values()) if (host.isAlive && host.record) return true;
  return false;
}
