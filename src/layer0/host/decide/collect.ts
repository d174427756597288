// Which dead containers of a job may go: old ones, and those beyond the number kept. A running one never does.

import { maxDeadPerJob } from '../config.ts';
import { attemptOf } from '../labels.ts';
import type { Container } from '../runtime/runtime.ts';

export interface CollectQuestion {
  containers: readonly Container[];
  /** By the monotonic clock. */
  nowMs: number;
  /** When a dead container is too old, by the monotonic clock. */
  goesAtMs(container: Container): number;
  /** The job's next step needs the newest container: it is about to start, or its end is not written down yet. */
  isNewestNeeded: boolean;
}

export interface CollectAnswer {
  remove: string[];
  /** When the next one becomes too old. */
  nextAtMs?: number;
}

export function decideCollect(question: CollectQuestion): CollectAnswer {
  const { containers, nowMs, isNewestNeeded } = question;
  const newestFirst = [...containers].sort((a, b) => attemptOf(b) - attemptOf(a));
  const candidates = isNewestNeeded ? newestFirst.slice(1) : newestFirst;
  const dead = candidates.filter((container) => container.state !== 'running');
  const remove: string[] = [];
  let nextAtMs: number | undefined;
  for (const [place, container] of dead.entries()) {
    const goesAtMs = question.goesAtMs(container);
    if (place >= maxDeadPerJob || goesAtMs <= nowMs) remove.push(container.id);
    else nextAtMs = Math.min(nextAtMs ?? goesAtMs, goesAtMs);
  }
  return nextAtMs === undefined ? { remove } : { remove, nextAtMs };
}
