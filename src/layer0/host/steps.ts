// The kinds of steps and their arguments: one map gives the union type here and the executor table in act/.

import type { JobStatus } from './wire.ts';

export interface StepArguments {
  checkImage: { image: string };
  takeStartSlot: object;
  prepareVolumes: object;
  choosePorts: object;
  attachNetwork: object;
  create: { attempt: number };
  start: { container: string };
  watchHealth: { container: string; wasHealthy: boolean };
  unwatchHealth: object;
  register: object;
  markDraining: { service: string };
  unregister: { service: string };
  signal: { container: string; signal: string };
  kill: { container: string };
  remove: { container: string };
  freeAddress: object;
  writeStatus: { status: JobStatus };
}

export type StepKind = keyof StepArguments;
export type StepOf<K extends StepKind> = { kind: K } & StepArguments[K];
export type Step = { [K in StepKind]: StepOf<K> }[StepKind];

export interface Wait {
  /** For people: `restart 4 in 8 s`. */
  reason: string;
  /** When to look again although nothing happened, by the monotonic clock. */
  untilMs?: number;
}

/** Steps to take in order, each idempotent; none and no wait: the job is where it should be. */
export interface Plan {
  steps: Step[];
  wait?: Wait;
}
