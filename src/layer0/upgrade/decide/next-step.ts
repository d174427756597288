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
  /** Of the copy of the store on this machine, which follows the daemon. */
  copy: CopyState;
}

/** `held-up`: it follows when copies on other machines are back, for which nobody waits. */
export interface CopyState {
  state: 'settled' | 'running' | 'held-up' | 'failed';
  reason?: string;
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
  const isOfThis = turn?.upgrade === wanted.id;
  if (self.version === wanted.version)
    return isMine ? finish(seen.copy, isOfThis && turn.failure !== undefined) : { kind: 'nothing' };
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

/** The next machine begins when the copy of the store here is whole again: at most one is away because of an upgrade. */
function finish({ state, reason = '' }: CopyState, isTold: boolean): Step {
  if (state === 'running') return { kind: 'wait', for: reason };
  if (state !== 'failed') return { kind: 'give-back' };
  return isTold ? { kind: 'nothing' } : { kind: 'tell-failure', failure: reason };
}

function firstBehind(alive: ReadonlyMap<string, string>, version: string): string | undefined {
  return [...alive]
    .filter(([, has]) => has !== version)
    .map(([hostId]) => hostId)
    .sort()[0];
}
