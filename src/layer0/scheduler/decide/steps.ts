// What a scheduler can decide to do: every change of the Grid's records, as data.

import type { Job } from '../wire.ts';
import type { PlanBoard } from './plan-board.ts';

/** A job to be: its id and time come from who commits it. */
export type NewJob = Omit<Job, 'id' | 'createdAt'>;

/**
 * `because` says why, for logs and tests. `formation` is the record that the decision rests on; it must not have changed.
 * `absent` are keys whose absence it rests on.
 */
export type Step =
  | { kind: 'create'; job: NewJob; formation: string; absent?: string[] }
  | { kind: 'place'; jobId: string; host: string }
  | { kind: 'explain'; jobId: string; pendingReason: string }
  | { kind: 'stop'; jobId: string; formation: string; because: string; absent?: string[] }
  | { kind: 'remove'; jobId: string; because: string; formation?: string; absent?: string[] }
  | { kind: 'forget'; claim: string };

/** What a decision may know besides the cluster's state. */
export interface DecideContext {
  /** Wall clock. */
  nowMs: number;
  /** The clock of `awaySince`. */
  monotonicMs: number;
  limits: PlacementLimits;
  hostLossGraceMs: number;
  ephemeralKeepMs: number;
}

/** What all decisions of one transaction share: a place that one of them took is taken for the next. */
export interface Planning {
  board: PlanBoard;
  context: DecideContext;
}

export interface PlacementLimits {
  cpuOvercommitPercent: number;
  memoryOvercommitPercent: number;
  pidsPerHost: number;
  /** Fitting hosts that one placement compares. */
  candidateHosts: number;
}
