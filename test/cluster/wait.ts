// Waiting for a condition instead of for time: a generous limit, and a sentence that says what was missing.

import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  timeoutMs?: number;
  everyMs?: number;
  /** What to add to the failure: the last thing seen. */
  seen?: () => unknown;
}

/** Resolves with the first truthy answer. The limit is a hang limit, not a bound on speed. */
export async function waitFor<T>(
  what: string,
  check: () => Promise<T | false | undefined> | T | false | undefined,
  options: WaitOptions = {},
): Promise<T> {
  const end = performance.now() + (options.timeoutMs ?? 60_000);
  for (;;) {
    const answer = await check();
    if (answer !== false && answer !== undefined) return answer;
    if (performance.now() > end) {
      const seen = options.seen ? `; last seen: ${JSON.stringify(options.seen())}` : '';
      throw new Error(`waited ${options.timeoutMs ?? 60_000} ms for ${what}${seen}`);
    }
    await delay(options.everyMs ?? 50);
  }
}
