// From looks to a verdict. Pure.

import type { Health } from '../view.ts';
import type { ProbeResult } from './probe.ts';

export interface Standing {
  health: Health;
  failuresInRow: number;
}

/** One good look makes healthy; `limit` bad ones in a row make a healthy job unhealthy. */
export function afterProbe(before: Standing, limit: number, result: ProbeResult): Standing {
  if (result === undefined) return { health: { verdict: 'healthy' }, failuresInRow: 0 };
  const failuresInRow = before.failuresInRow + 1;
  const { verdict } = before.health;
  if (verdict === 'healthy' && failuresInRow < limit)
    return { health: before.health, failuresInRow };
  const next = verdict === 'unknown' ? 'unknown' : 'unhealthy';
  return { health: { verdict: next, reason: result }, failuresInRow };
}
