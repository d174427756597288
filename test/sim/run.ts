// `npm run sim -- SEED [--seeds N] [--cluster]`: plays one seed with its whole trace, or N seeds in a row with one line for
// each failure; `--cluster`: two to five machines and all that can happen between them, not one to three.
// With `--operators`, machines are drained and taken out meanwhile, and some processes are singletons.
// `npm run sim -- SEED --hosts 10000 --jobs 1000000`: the schedulers alone, at 1, 10 and 100 % of that size.

import { parseArgs } from 'node:util';
import { printScale } from './scale/print.ts';
import { simulate } from './simulation.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string' },
    cluster: { type: 'boolean' },
    operators: { type: 'boolean' },
    hosts: { type: 'string' },
    jobs: { type: 'string' },
  },
});
const first = Number(positionals[0] ?? 1);

if (values.hosts === undefined) await playSeeds(Number(values.seeds ?? 1));
else {
  const hosts = Number(values.hosts);
  printScale(first, { hosts, jobs: Number(values.jobs ?? hosts * 100) });
}

async function playSeeds(count: number): Promise<void> {
  const isSingle = count === 1;
  let failures = 0;
  let simulatedMs = 0;
  const startedAt = performance.now();
  for (let seed = first; seed < first + count; seed++) {
    const result = await simulate(seed, {
      isCluster: values.cluster === true,
      isOperated: values.cluster === true && values.operators === true,
      ...(isSingle ? { onLine: (line) => console.log(line) } : {}),
    });
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
}
