// What the simulated people run.

import { aSpec, megabyte } from '#layer0/scheduler/fake';
import { imageName } from './machine.ts';

/** Small numbers, so that a simulated minute holds a whole life. */
export const spec = aSpec({
  image: imageName,
  resources: { memoryBytes: 64 * megabyte, cpuMillis: 100, pids: 32 },
  health: { type: 'tcp', intervalMs: 1000, timeoutMs: 500, startTimeoutMs: 5000, failures: 3 },
  stopGraceMs: 2000,
  drainMs: 1000,
});
