// How a process of the platform begins and ends. A file of bin/ imports this one alone by name and everything else by
// `await import()`: what is loaded after this line comes compiled out of Node's cache.

import { enableCompileCache } from 'node:module';

enableCompileCache();

/** What every process gets from outside, and nothing below it reaches for. */
export async function processParts(name: string) {
  const { systemClock: clock } = await import('./clock.ts');
  const { systemRandom: random } = await import('./random.ts');
  const { createLog } = await import('./log.ts');
  return { clock, random, log: createLog(name) };
}

/** At SIGTERM or SIGINT `stop` runs; then the process is over, whatever it still holds open. A second one ends it at once. */
export function stopWhenTold(stop: () => Promise<void>): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => void stop().then(() => process.exit(0)));
}
