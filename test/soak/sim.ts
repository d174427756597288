// Ten thousand simulated clusters of two to five machines, over all cores: a process for each, so that none grows old, and a new one every few seeds.

import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { SoakOptions, SoakResult } from './soak.ts';

const usualCount = 10_000;
const seedsPerProcess = 100;
const simulator = join(import.meta.dirname, '../sim/run.ts');

export async function play({ count = usualCount, first }: SoakOptions): Promise<SoakResult> {
  const failures: string[] = [];
  const end = first + count;
  let next = first;
  let minutes = 0;
  const playSome = async () => {
    while (next < end) {
      const from = next;
      next = Math.min(end, from + seedsPerProcess);
      const output = await simulate(from, next - from);
      failures.push(...output.matchAll(/^seed \d+ FAILED: .*$/gm).map(([line]) => line));
      minutes += Number(output.match(/(\d+) simulated minutes/)?.[1] ?? 0);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, playSome));
  return { played: count, failures, figures: [`${minutes} simulated minutes`] };
}

/** A process that ends without its summary has found something, too. */
async function simulate(first: number, count: number): Promise<string> {
  const args = [simulator, String(first), '--cluster', '--operators', '--seeds', String(count)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const output = await text(child.stdout);
  if (output.includes(`${count} seeds, `)) return output;
  return `${output}\nseed ${first} FAILED: its process, or one of the ${count} seeds from it on, ended early\n`;
}
