// Is it this host's turn to get the version that is wanted? One after the other; the first that fails ends it for all.

import type { Outcome, Turn, Wanted } from '../wire.ts';

export interface Seen {
  self: { hostId: string; version: string };
  wanted: Wanted | undefined;
  turn: Turn | undefined;
  /** Since when this process has seen the turn as it is. */
  turnAgeMs: number;
  /** Versions of the hosts that are alive, by id. */
  alive: ReadonlyMap<string, string>;
  /** Of an attempt on this machine that was put back. */
  outcome: Outcome | undefined;
}

export type Step =
  | { kind: 'nothing' }
  | { kind: 'wait'; for: string }
  | { kind: 'take-turn' }
  /** Begins, or sees to it that what was begun goes on. */
  | { kind: 'replace' }
  | { kind: 'tell-failure'; failure: string }
  | { kind: 'give-back' };

export function nextStep(seen: Seen, turnLimitMs: number): Step {
  const { self, wanted, turn, outcome } = seen;
  if (!wanted) return { kind: 'nothing' };
  const isMine = turn?.host === self.hostId;
  if (self.version === wanted.version) return { kind: isMine ? 'give-back' : 'nothing' };
  const isOfThis = turn?.upgrade === wanted.id;
  if (isOfThis && turn.failure !== undefined) return { kind: 'nothing' };
  if (isOfThis && isMine)
    return outcome?.upgrade === wanted.id
      ? { kind: 'tell-failure', failure: outcome.failure }
      : { kind: 'replace' };
  // A host that was lost in its turn keeps the others for this long only.
  const isTaken = turn !== undefined && !isMine && turn.failure === undefined;
  if (isTaken && seen.turnAgeMs < turnLimitMs) return { kind: 'wait', for: turn.host };
  const next = firstBehind(seen.alive, wanted.version);
  if (next !== undefined && next < self.hostId) return { kind: 'wait', for: next };
  return { kind: 'take-turn' };
}

function firstBehind(alive: ReadonlyMap<string, string>, version: string): string | undefined {
  return [...alive]
    .filter(([, has]) => has !== version)
    .map(([hostId]) => hostId)
    .sort()[0];
}
