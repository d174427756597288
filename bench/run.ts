// `npm run bench -- NAME... [--tiny]`, `all` or `--list`: runs benchmarks one after the other and prints what they say.
// A target that is missed is a figure; a benchmark that cannot run, for want of its peer, is an error and exits 1.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readable, recordLine } from './report.ts';
import type { BenchResult } from './result.ts';

/** Files beside the benchmarks that are none. */
const support = ['measure', 'report', 'result', 'run'];

interface Bench {
  run(options: { tiny: boolean }): Promise<BenchResult[] | BenchResult>;
}

export function benchNames(): string[] {
  return readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => file.slice(0, -'.ts'.length))
    .filter((name) => !support.includes(name))
    .sort();
}

/** The first lines of a benchmark say what it measures. */
export function describeBench(name: string): string {
  const text = readFileSync(join(import.meta.dirname, `${name}.ts`), 'utf8');
  const head = text.match(/^(?:\/\/ .*\n)+/)?.[0] ?? '';
  return head
    .replaceAll(/^\/\/ /gm, '')
    .trim()
    .replaceAll('\n', ' ');
}

export async function runBench(name: string, tiny: boolean): Promise<BenchResult[]> {
  const bench = (await import(join(import.meta.dirname, `${name}.ts`))) as Bench;
  return [await bench.run({ tiny })].flat();
}

async function runAll(names: readonly string[], tiny: boolean): Promise<void> {
  for (const name of names) {
    try {
      for (const result of await runBench(name, tiny)) {
        console.log(readable(result));
        console.log(recordLine(name, tiny, result));
      }
    } catch (error) {
      console.error(`${name} could not run: ${error instanceof Error ? error.message : error}`);
      process.exitCode = 1;
    }
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { tiny: { type: 'boolean' }, list: { type: 'boolean' } },
    allowPositionals: true,
  });
  const all = benchNames();
  if (values.list) {
    for (const name of all) console.log(`${name}\n  ${describeBench(name)}`);
    return;
  }
  const names = positionals.includes('all') ? all : positionals;
  const unknown = names.filter((name) => !all.includes(name));
  if (names.length > 0 && unknown.length === 0) return runAll(names, values.tiny ?? false);
  console.error(`Usage: npm run bench -- NAME... [--tiny]. NAME is all, ${all.join(', ')}.`);
  process.exitCode = 1;
}

if (import.meta.main) await main();
