// Jobs of one group nearly always have equal specs, each read from its own record. They are kept once: a spec is the
// largest part of a job by far, and a million of them would not fit.

import { groupOf } from './state.ts';
import type { Job, JobSpec } from './wire.ts';

interface Shared {
  /** The same string for all of them, too. */
  group: string;
  spec: JobSpec;
  jobs: number;
}

export class SharedSpecs {
  readonly #byGroup = new Map<string, Shared>();

  /** The job with its group's spec, where its own is equal to that. */
  share(job: Job): Job {
    const { spec } = this.#of(job);
    return spec !== job.spec && isSame(spec, job.spec) ? { ...job, spec } : job;
  }

  /** A job is kept: its group's spec stays until the last one has left. Returns the group. */
  enter(job: Job): string {
    const shared = this.#of(job);
    shared.jobs++;
    return shared.group;
  }

  leave(job: Job): void {
    const shared = this.#of(job);
    shared.jobs--;
    if (shared.jobs <= 0) this.#byGroup.delete(shared.group);
  }

  #of(job: Job): Shared {
    const group = groupOf(job);
    const known = this.#byGroup.get(group);
    if (known) return known;
    const shared = { group, spec: job.spec, jobs: 0 };
    this.#byGroup.set(group, shared);
    return shared;
  }
}

/** Of two JSON values. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  const [first, second] = [a as Record<string, unknown>, b as Record<string, unknown>];
  for (const name of names) if (!isSame(first[name], second[name])) return false;
  return true;
}
