// What the answers of the members say about the store as a whole.

import type { HaStatus, MemberStatus } from '../wire.ts';

const alarmTexts: Record<string, string> = {
  NOSPACE: 'its database is full: deletes are taken, nothing else is',
  CORRUPT: 'its data differs from that of the others: remove that machine, and add it anew',
};

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
  const raised = members.flatMap(({ hostId, alarm }) =>
    alarm === undefined ? [] : [`; ${nameOf(hostId)}: ${alarmTexts[alarm] ?? alarm}`],
  );
  if (away.length + raised.length > 0)
    return { health: 'degraded', summary: `${led}${lost}${raised.join('')}` };
  return { health: 'healthy', summary: led };
}
