// What the answers of the members say about the store as a whole.

import type { HaStatus, MemberStatus } from '../wire.ts';

export function summarize(
  members: readonly MemberStatus[],
  nameOf: (hostId: string) => string,
): Pick<HaStatus, 'health' | 'summary'> {
  const voters = members.filter(({ isLearner }) => !isLearner);
  const there = voters.filter(({ isReachable }) => isReachable);
  const leader = there.find(({ isLeader }) => isLeader);
  const away = voters.filter(({ isReachable }) => !isReachable).map(({ hostId }) => nameOf(hostId));
  const count = `${there.length} of ${voters.length} copies of the store answer`;
  const lost = away.length > 0 ? `; away: ${away.join(', ')}` : '';
  if (there.length <= voters.length / 2 || !leader)
    return {
      health: 'no-quorum',
      summary: `no quorum: ${count}${lost}: nothing new is decided, everything runs on`,
    };
  const led = `${count}, ${nameOf(leader.hostId)} leads`;
  if (away.length > 0) return { health: 'degraded', summary: `${led}${lost}` };
  return { health: 'healthy', summary: led };
}
