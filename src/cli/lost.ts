// A stream that must outlive a restart of the API: opened again when it breaks, until nobody has answered for too long.

import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';

/** How long nobody may answer before a follower gives up. */
export const maxLostMs = 120_000;
/** Between two tries. */
const retryMs = 1_000;

export interface Reopening<T> {
  clock: Clock;
  signal: AbortSignal;
  open(): AsyncIterable<T>;
  /** Called when the stream broke and once when it is back, for a line that says so. */
  onLost(): void;
  onBack(): void;
}

/** Values of one stream after another. Ends when a stream ends by itself; throws what trying again does not mend. */
export async function* reopened<T>(reopening: Reopening<T>): AsyncGenerator<T> {
  const { clock, signal } = reopening;
  let lostAt: number | undefined;
  for (;;) {
    try {
      for await (const value of reopening.open()) {
        if (lostAt !== undefined) reopening.onBack();
        lostAt = undefined;
        yield value;
      }
      return;
    } catch (error) {
      if (signal.aborted || !isLost(error)) throw error;
      if (lostAt === undefined) reopening.onLost();
      lostAt ??= clock.monotonicMs();
      if (clock.monotonicMs() - lostAt > maxLostMs) throw error;
      await clock.sleep(retryMs, signal);
    }
  }
}

/** The way to the API broke, or the API is not there for a moment. */
export function isLost(error: unknown): boolean {
  const { code, status } = toAppError(error);
  return code === 'core.unreachable' || code === 'core.timeout' || status === 503;
}
