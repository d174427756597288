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

  /** A job is kept, with its group's spec where its own is equal to that; the spec stays until the last one has left. */
  enter(job: Job): { job: Job; group: string } {
    const group = groupOf(job);
    const shared = this.#byGroup.get(group);
    if (!shared) {
      this.#byGroup.set(group, { group, spec: job.spec, jobs: 1 });
      return { job, group };
    }
    shared.jobs++;
    const { spec } = shared;
    const isShared = spec !== job.spec && isSame(spec, job.spec);
    return { job: isShared ? { ...job, spec } : job, group: shared.group };
  }

  leave(group: string): void {
    const shared = this.#byGroup.get(group);
    if (!shared) return;
    shared.jobs--;
    if (shared.jobs === 0) this.#byGroup.delete(group);
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
