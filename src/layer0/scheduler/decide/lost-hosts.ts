// When is a host given up? Unknown is not dead: only long after its lease ended, and only while somebody else is there.

import type { ClusterState } from '../cluster-state.ts';
import type { DecideContext } from './steps.ts';

type Patience = Pick<DecideContext, 'monotonicMs' | 'hostLossGraceMs'>;

export function isLost(state: ClusterState, hostId: string, context: Patience): boolean {
  const host = state.hosts.get(hostId);
  if (!host || host.awaySince === undefined) return false;
  if (context.monotonicMs - host.awaySince < context.hostLossGraceMs) return false;
  return isAnyoneThere(state);
}

/** How long until the next host that is away counts as lost; undefined when none waits for that. */
export function nextLossInMs(state: ClusterState, context: Patience): number | undefined {
  if (!isAnyoneThere(state)) return undefined;
  let nextMs: number | undefined;
  for (const { awaySince, records } of state.away) {
    if (awaySince === undefined || records === 0) continue;
    const leftMs = awaySince + context.hostLossGraceMs - context.monotonicMs;
    if (leftMs > 0) nextMs = Math.min(nextMs ?? leftMs, leftMs);
  }
  return nextMs;
}

/** A scheduler that sees no host at all is the one that is cut off. */
function isAnyoneThere(state: ClusterState): boolean {
  for (const host of state.hosts.values()) if (host.isAlive && host.record) return true;
  return false;
}
