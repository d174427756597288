// Which dead containers of a job may go: old ones, and those beyond the number kept. A running one never does.

import { keepDeadMs, maxDeadPerJob } from '../config.ts';
import { attemptOf } from '../labels.ts';
import type { Container } from '../runtime/runtime.ts';

export interface CollectQuestion {
  containers: readonly Container[];
  now: number;
  /** The job's next step needs the newest container: it is about to start, or its end is not written down yet. */
  isNewestNeeded: boolean;
}

export interface CollectAnswer {
  remove: string[];
  /** When the next one becomes too old. */
  nextAt?: number;
}

export function decideCollect({ containers, now, isNewestNeeded }: CollectQuestion): CollectAnswer {
  const newestFirst = [...containers].sort((a, b) => attemptOf(b) - attemptOf(a));
  const candidates = isNewestNeeded ? newestFirst.slice(1) : newestFirst;
  const dead = candidates.filter((container) => container.state !== 'running');
  const remove: string[] = [];
  let nextAt: number | undefined;
  for (const [place, container] of dead.entries()) {
    const goesAt = (container.finishedAt ?? container.createdAt) + keepDeadMs;
    if (place >= maxDeadPerJob || goesAt <= now) remove.push(container.id);
    else nextAt = Math.min(nextAt ?? goesAt, goesAt);
  }
  return nextAt === undefined ? { remove } : { remove, nextAt };
}
