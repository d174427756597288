// Can the copy of one machine be away for a moment? Only while the others are enough without it.

import type { MemberStatus } from '../wire.ts';

type Voter = Pick<MemberStatus, 'hostId' | 'isReachable' | 'isLearner'>;

/** Host ids of the copies that must answer first; none when it can. Of two, one is never enough: both must be there. */
export function missingWithout(members: readonly Voter[], hostId: string): string[] {
  const voters = members.filter(({ isLearner }) => !isLearner);
  const others = voters.filter((member) => member.hostId !== hostId);
  const away = others.filter(({ isReachable }) => !isReachable);
  const quorum = Math.floor(voters.length / 2) + 1;
  const isEnough = others.length - away.length >= quorum;
  return isEnough ? [] : away.map((member) => member.hostId);
}
