// `npm run sim -- SEED [--seeds N]`: plays one seed with its whole trace, or N seeds in a row with one line for each failure.

import { parseArgs } from 'node:util';
import { simulate } from './simulation.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: 'string' } },
});
const first = Number(positionals[0] ?? 1);
const count = Number(values.seeds ?? 1);
const isSingle = count === 1;
let failures = 0;
let simulatedMs = 0;
const startedAt = performance.now();
for (let seed = first; seed < first + count; seed++) {
  const result = await simulate(seed, isSingle ? { onLine: (line) => console.log(line) } : {});
  simulatedMs += result.durationMs;
  if (isSingle) console.log(`trace ${result.digest}, ${result.lines} lines`);
  if (!result.failure) continue;
  failures++;
  if (!isSingle) console.log(result.failure.last.join('\n'));
  console.log(`seed ${seed} FAILED: ${result.failure.message}`);
}
const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
console.log(
  `${count} seeds, ${failures} failed, ${Math.round(simulatedMs / 60_000)} simulated minutes in ${seconds} s`,
);
process.exit(failures > 0 ? 1 : 0);
