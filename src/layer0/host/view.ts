// What is known of one job at one moment: the only input of its plan besides the time.

import type { Attachment } from '#layer0/network/wire';
import type { Job } from '#layer0/scheduler/wire';
import type { Container } from './runtime/runtime.ts';
import type { JobStatus } from './wire.ts';

/**
 * run: the record says so. stop: the record is a tombstone (`desired: down`). vacate: the record is gone or names
 * another host, seen in the incarnation that made the container. leave: nobody who may say so said anything.
 */
export type Intent = 'run' | 'stop' | 'vacate' | 'leave';

export interface Health {
  verdict: 'unknown' | 'healthy' | 'unhealthy';
  /** Of the last failed probe: `connection refused`. */
  reason?: string;
}

/** What only this process knows. Losing it is safe: each part is found out or done again. */
export interface JobMemory {
  /** Present after the network gave an address; kept across attempts. */
  attachment?: Attachment;
  isAddressFree: boolean;
  /** Of the attempt, for a job on the host network. */
  ports?: Record<string, number>;
  slot: 'none' | 'queued' | 'held';
  /** Container that had ended before this process first looked. */
  foundEnded?: string;
  /** Container that the engine was asked to start. */
  startTried?: string;
  /** Container whose health is being probed. */
  probing?: string;
  health: Health;
  /** unknown: an earlier life of the agent may have registered it. asked: it is to be listed, and may not be yet. */
  registered: 'unknown' | 'no' | 'asked' | 'up' | 'draining';
  /** By the monotonic clock, as the two that follow. */
  drainingSinceMs?: number;
  signalledAtMs?: number;
  killedAtMs?: number;
  /** Why the attempt cannot go on, from a step that failed for good. */
  failure?: Failure;
}

export interface Failure {
  reason: string;
  /** No further attempt can help. */
  isFinal: boolean;
}

export interface JobView {
  readonly jobId: string;
  /** The last record seen; undefined for a container whose record this process never saw. */
  job: Job | undefined;
  intent: Intent;
  status: JobStatus | undefined;
  /** Of this job, in any state, oldest attempt first. */
  containers: readonly Container[];
  memory: JobMemory;
}

export function emptyMemory(): JobMemory {
  return {
    isAddressFree: false,
    slot: 'none',
    health: { verdict: 'unknown' },
    registered: 'unknown',
  };
}
