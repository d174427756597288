// An answer, or core.timeout: for whoever must say something even when the other side hangs.

import type { Clock } from './clock.ts';
import { coreErrors } from './errors.ts';

/** What was asked goes on when it is late: nobody waits for it any more. */
export async function within<T>(clock: Clock, limitMs: number, ask: () => Promise<T>): Promise<T> {
  const asked = new AbortController();
  const late = clock.sleep(limitMs, asked.signal).then(() => {
    throw coreErrors.timeout(`no answer within ${limitMs / 1000} s`);
  });
  try {
    return await Promise.race([ask(), late]);
  } finally {
    asked.abort();
    late.catch(() => undefined);
  }
}
