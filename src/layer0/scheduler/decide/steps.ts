// What a scheduler can decide to do: every change of the Grid's records, as data.

import type { Job } from '../wire.ts';
import type { PlanBoard } from './plan-board.ts';

/** A job to be: its id and time come from who commits it. */
export type NewJob = Omit<Job, 'id' | 'createdAt'>;

/** What a decision is true of only while it lasts. */
export interface RestsOn {
  /** Keys that are not there. */
  absent?: string[];
  /** A host that does not answer those that listen for it. */
  silent?: string;
}

/**
 * `because` says why, for logs and tests. `formation` is the record that the decision rests on; it must not have changed.
 */
export type Step =
  | ({ kind: 'create'; job: NewJob; formation: string } & RestsOn)
  | { kind: 'place'; jobId: string; host: string }
  | { kind: 'explain'; jobId: string; pendingReason: string }
  | { kind: 'rank'; jobId: string; priority: number; formation: string }
  | { kind: 'note'; jobId: string; moveReason: string | undefined }
  | StopStep
  | ({ kind: 'remove'; jobId: string; because: string; formation?: string } & RestsOn)
  | { kind: 'forget'; claim: string }
  | { kind: 'settle'; app: string };

export interface StopStep extends RestsOn {
  kind: 'stop';
  jobId: string;
  formation: string;
  because: string;
  /** It goes because of what its status is: that must be its status still. */
  isAsSeen?: boolean;
}

/** What a decision may know besides the cluster's state. */
export interface DecideContext {
  /** Wall clock. */
  nowMs: number;
  /** The clock of `awaySince`. */
  monotonicMs: number;
  limits: PlacementLimits;
  hostLossGraceMs: number;
  /** How long a lease of a host lasts. */
  hostLeaseMs: number;
  ephemeralKeepMs: number;
}

/** What all decisions of one transaction share: a place that one of them took is taken for the next. */
export interface Planning {
  board: PlanBoard;
  context: DecideContext;
  later?: Later;
}

/** Apps for which there is nothing to do now, and will be although nothing of their own changes. */
export interface Later {
  /** Milliseconds from now until they are to be looked at again. */
  soon: Map<string, number>;
  /** They wait for room on other hosts. */
  stuck: Set<string>;
}

export interface PlacementLimits {
  cpuOvercommitPercent: number;
  memoryOvercommitPercent: number;
  pidsPerHost: number;
  /** Fitting hosts that one placement compares. */
  candidateHosts: number;
}
