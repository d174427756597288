// What membership should do next, from what it sees.

import { keepRemovedMs, keepTokenMs, lastWordsMs } from '../config.ts';
import type { Member, Removed, TokenRecord } from '../wire.ts';

export interface Seen {
  now: number;
  self: Omit<Member, 'admittedAt'>;
  members: ReadonlyMap<string, Member>;
  tokens: ReadonlyMap<string, TokenRecord>;
  removed: ReadonlyMap<string, Removed>;
  /** Undefined when this machine has no certificate; otherwise whether it should be made anew. */
  isCertificateDue: boolean | undefined;
  isDoorOpen: boolean;
}

export type Step =
  | { kind: 'certify' }
  | { kind: 'correct-self'; member: Member }
  | { kind: 'open-door' }
  | { kind: 'close-door' }
  | { kind: 'forget-token'; hash: string }
  | { kind: 'forget-removed'; host: string };

export function planMembership(seen: Seen): Step[] {
  const me = seen.members.get(seen.self.hostId);
  // Nobody has joined yet, or this machine was removed: it runs what it runs, and speaks to nobody.
  if (!me) return seen.isDoorOpen ? [{ kind: 'close-door' }] : [];
  return [
    ...certificate(seen),
    ...correction(seen, me),
    ...door(seen),
    ...[...seen.tokens]
      .filter(([, { expiresAt }]) => expiresAt + keepTokenMs <= seen.now)
      .map(([hash]) => ({ kind: 'forget-token' as const, hash })),
    ...[...seen.removed]
      .filter(([, { at }]) => at + keepRemovedMs <= seen.now)
      .map(([host]) => ({ kind: 'forget-removed' as const, host })),
  ];
}

function certificate({ isCertificateDue }: Seen): Step[] {
  return isCertificateDue === false ? [] : [{ kind: 'certify' }];
}

function correction({ self }: Seen, me: Member): Step[] {
  const member: Member = { ...me, ...self };
  const isRight = me.name === self.name && me.address === self.address && me.port === self.port;
  return isRight ? [] : [{ kind: 'correct-self', member }];
}

/** Alone, and with nobody expected or just leaving, a machine listens to no other. */
function door({ members, tokens, removed, now, isDoorOpen }: Seen): Step[] {
  const isExpecting = [...tokens.values()].some(
    ({ usedBy, expiresAt }) => usedBy === undefined && expiresAt > now,
  );
  const isLeaving = [...removed.values()].some(({ at }) => at + lastWordsMs > now);
  const isWanted = members.size > 1 || isExpecting || (isLeaving && isDoorOpen);
  if (isWanted === isDoorOpen) return [];
  return [{ kind: isWanted ? 'open-door' : 'close-door' }];
}
