// What does the etcd cluster need now? Forget old history, give room back one member at a time, take an alarm off.

import type { Alarm, MemberStatus } from '../maintenance.ts';

/** History that watchers may be behind and still resume, milliseconds ... */
export const keepMs = 10 * 60_000;
/** ... and at least so many commits, and at most so many. */
export const keepCommits = 10_000;
export const maxCommits = 100_000;
/** Compaction runs for no fewer commits than this. */
export const compactionSlack = 1_000;
/** A database smaller than this is not worth a member's pause, bytes. */
export const worthBytes = 64 * 1024 * 1024;
/** A member is not defragmented again within this time, milliseconds. */
export const defragmentAgainMs = 60_000;
/** The share of the quota above which an alarm stays. */
export const disarmShare = 0.8;

export type KeepingStep =
  | { kind: 'compact'; revision: number }
  | { kind: 'defragment'; url: string }
  | { kind: 'disarm'; alarm: Alarm };

/** Where the history stood at a moment of the monotonic clock. */
export interface Mark {
  atMs: number;
  revision: number;
}

export interface ClusterSeen {
  /** Of members that answered. */
  statuses: MemberStatus[];
  /** Members that are listed. */
  memberCount: number;
  alarms: Alarm[];
  quotaBytes: number;
  nowMs: number;
  /** Now last. */
  marks: Mark[];
  compactedTo: number;
  /** When each member was defragmented last, by its URL. */
  defragmentedAtMs: ReadonlyMap<string, number>;
}

/** At most one defragmentation: the next pass sees whether the member came back. */
export function planKeeping(seen: ClusterSeen): KeepingStep[] {
  const steps: KeepingStep[] = [];
  const outOfSpace = seen.alarms.filter(({ alarm }) => alarm === 'NOSPACE');
  const isFull = outOfSpace.length > 0;
  const revision = compactionTarget(seen, isFull);
  if (revision !== undefined) steps.push({ kind: 'compact', revision });
  const url = memberToDefragment(seen, isFull);
  if (url !== undefined) steps.push({ kind: 'defragment', url });
  const isRoomy = seen.statuses.every(({ dbBytes }) => dbBytes < disarmShare * seen.quotaBytes);
  if (isAllThere(seen) && isRoomy)
    for (const alarm of outOfSpace) steps.push({ kind: 'disarm', alarm });
  return steps;
}

function compactionTarget(seen: ClusterSeen, isFull: boolean): number | undefined {
  const now = seen.marks.at(-1)?.revision ?? 0;
  if (isFull) return now > seen.compactedTo ? now : undefined;
  const old = seen.marks.findLast(({ atMs }) => seen.nowMs - atMs >= keepMs)?.revision ?? 0;
  const target = Math.max(Math.min(old, now - keepCommits), now - maxCommits);
  return target >= seen.compactedTo + compactionSlack ? target : undefined;
}

/** The one with the most to give, the leader last. None while a member is away: two at once could be the quorum. */
function memberToDefragment(seen: ClusterSeen, isFull: boolean): string | undefined {
  if (!isAllThere(seen)) return undefined;
  // Without room a member's figure of what is used stands still: pages are counted as free with the next write.
  const isWorthIt = ({ dbBytes, usedBytes }: MemberStatus) =>
    isFull
      ? dbBytes >= disarmShare * seen.quotaBytes
      : dbBytes >= worthBytes && usedBytes < dbBytes / 2;
  const isRested = ({ url }: MemberStatus) =>
    seen.nowMs - (seen.defragmentedAtMs.get(url) ?? Number.NEGATIVE_INFINITY) >= defragmentAgainMs;
  const [first] = seen.statuses
    .filter((status) => isWorthIt(status) && isRested(status))
    .sort((a, b) => Number(a.isLeader) - Number(b.isLeader) || b.dbBytes - a.dbBytes);
  return first?.url;
}

const isAllThere = ({ statuses, memberCount }: ClusterSeen): boolean =>
  memberCount > 0 && statuses.length === memberCount;
