// What `gantry --help` costs beside a Node that does nothing: both as processes of their own, one after the other.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchResult } from './result.ts';

const target = 2;
const entry = new URL('../bin/gantry.mjs', import.meta.url).pathname;

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult[]> {
  const cache = await mkdtemp(join(tmpdir(), 'gantry-bench-cli-'));
  try {
    // The first start fills the compile cache, as the first one on a machine does.
    await startMs([entry, '--help'], cache);
    const pairs: { ours: number; bare: number }[] = [];
    for (let pair = 0; pair < (tiny ? 1 : 25); pair++) {
      const bare = await startMs(['-e', '0'], cache);
      const ours = await startMs([entry, '--help'], cache);
      pairs.push({ ours, bare });
    }
    return [resultOf(pairs)];
  } finally {
    await rm(cache, { recursive: true });
  }
}

function resultOf(pairs: { ours: number; bare: number }[]): BenchResult {
  const ratios = pairs.map(({ ours, bare }) => ours / bare);
  const ratio = median(ratios);
  return {
    name: 'cli-start',
    figure: median(pairs.map(({ ours }) => ours)),
    unit: 'ms',
    peer: 'node -e 0',
    peerFigure: median(pairs.map(({ bare }) => bare)),
    ratio,
    target: `<= ${target}x`,
    isMet: ratio <= target,
    min: Math.min(...ratios),
    max: Math.max(...ratios),
    pairs: pairs.length,
    note: 'gantry --help, compile cache warm',
  };
}

async function startMs(args: string[], cache: string): Promise<number> {
  const env = { ...process.env, XDG_CACHE_HOME: cache };
  const begin = performance.now();
  const child = spawn(process.execPath, args, { env, stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`node ${args.join(' ')} ended with ${code}`);
  return performance.now() - begin;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
