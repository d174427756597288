// What is this container or job meant to do? Silence of the store is never a reason to stop anything.

import type { Job } from '#layer0/scheduler/wire';
import type { Intent } from '../view.ts';

export interface IntentQuestion {
  hostId: string;
  /** The record as the store has it now. */
  record: Job | undefined;
  /** The store's incarnation now; undefined while no list was read. */
  incarnation: string | undefined;
  /** Incarnations this job was seen in: the one its container carries, the one its record was read in. */
  seenIn: readonly (string | undefined)[];
}

export function decideIntent({ hostId, record, incarnation, seenIn }: IntentQuestion): Intent {
  if (incarnation === undefined) return 'leave';
  if (record?.host === hostId) return record.desired === 'up' ? 'run' : 'stop';
  return seenIn.includes(incarnation) ? 'vacate' : 'leave';
}
