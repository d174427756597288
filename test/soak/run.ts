// `npm run soak -- NAME [--times N] [--first K] [--etcd]`, or `--list`: runs that are too long for every day. Each is a file beside
// this one. `--seeds` is another word for `--times`.
// Prints a summary and what failed; exits 1 when anything did.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Soak } from './soak.ts';

/** Files beside the soaks that are none. */
const support = ['rounds', 'run', 'soak'];

function soakNames(): string[] {
  return readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => file.slice(0, -'.ts'.length))
    .filter((name) => !support.includes(name))
    .sort();
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    times: { type: 'string' },
    seeds: { type: 'string' },
    first: { type: 'string' },
    etcd: { type: 'boolean' },
    list: { type: 'boolean' },
  },
});
const [name = ''] = positionals;
if (values.list || !soakNames().includes(name)) {
  console.log(`npm run soak -- ${soakNames().join('|')} [--times N] [--first K] [--etcd]`);
  process.exit(values.list ? 0 : 2);
}
const soak = (await import(join(import.meta.dirname, `${name}.ts`))) as Soak;
const times = values.times ?? values.seeds;
const startedAt = performance.now();
const { played, failures, figures } = await soak.play({
  count: times === undefined ? undefined : Number(times),
  first: Number(values.first ?? 1),
  isOnEtcd: values.etcd ?? false,
});
const seconds = Math.round((performance.now() - startedAt) / 1000);
for (const failure of failures) console.log(failure);
console.log(
  [`${name}: ${played} played, ${failures.length} failed, ${seconds} s`, ...figures].join('\n  '),
);
process.exit(failures.length > 0 ? 1 : 0);
