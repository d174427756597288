// Who is where: for each group of jobs the slots of the hosts that hold some, and how many each holds.

import { groupOf, kindOf } from './state.ts';
import type { Job } from './wire.ts';

/** Slot of a host to a number of jobs, at least 1. */
export type Counts = ReadonlyMap<number, number>;

type Neighbour = Pick<Job, 'app' | 'release' | 'type' | 'rules'>;

const nowhere: Counts = new Map();

export class Neighbours {
  readonly #byGroup = new Map<string, Map<number, number>>();
  /** The groups of a process type: one for each of its releases that runs. */
  readonly #groupsOfKind = new Map<string, Set<string>>();
  /** By kind: hosts of jobs that must be apart from it. */
  readonly #refusals = new Map<string, Map<number, number>>();

  count(job: Neighbour, slot: number, sign: 1 | -1): void {
    const group = groupOf(job);
    tally(this.#byGroup, group, slot, sign);
    if (sign === 1) this.#know(kindOf(job), group);
    else if (!this.#byGroup.has(group)) this.#forget(kindOf(job), group);
    for (const { app = job.app, type, isRequired } of job.rules?.apart ?? [])
      if (isRequired) tally(this.#refusals, kindOf({ app, type }), slot, sign);
  }

  ofGroup(group: string): Counts {
    return this.#byGroup.get(group) ?? nowhere;
  }

  /** Of a process type, whichever the release: one map for each. */
  *ofKind(kind: string): Generator<Counts> {
    for (const group of this.#groupsOfKind.get(kind) ?? []) yield this.ofGroup(group);
  }

  /** Where jobs are that must be apart from this process type. */
  refusing(kind: string): Counts {
    return this.#refusals.get(kind) ?? nowhere;
  }

  #know(kind: string, group: string): void {
    const groups = this.#groupsOfKind.get(kind);
    if (groups) groups.add(group);
    else this.#groupsOfKind.set(kind, new Set([group]));
  }

  #forget(kind: string, group: string): void {
    const groups = this.#groupsOfKind.get(kind);
    groups?.delete(group);
    if (groups?.size === 0) this.#groupsOfKind.delete(kind);
  }
}

function tally(
  counts: Map<string, Map<number, number>>,
  key: string,
  slot: number,
  sign: 1 | -1,
): void {
  let slots = counts.get(key);
  if (!slots) {
    slots = new Map();
    counts.set(key, slots);
  }
  const count = (slots.get(slot) ?? 0) + sign;
  if (count > 0) slots.set(slot, count);
  else slots.delete(slot);
  if (slots.size === 0) counts.delete(key);
}
