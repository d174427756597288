// The curve of a scale run, a line for each size, with what performance.md asks for beside what was found.

import { type ScaleResult, simulateScale } from './scale.ts';
import type { Size } from './workload.ts';

const parts = [0.01, 0.1, 1];

export function printScale(seed: number, size: Size): void {
  let smallest: ScaleResult | undefined;
  for (const part of parts) {
    const result = simulateScale(seed, {
      hosts: Math.max(1, Math.round(size.hosts * part)),
      jobs: Math.max(1, Math.round(size.jobs * part)),
    });
    smallest ??= result;
    console.log(lineOf(result, smallest));
  }
}

function lineOf(result: ScaleResult, smallest: ScaleResult): string {
  const { hosts, jobs, pending, placed, seconds, cpuSeconds, commits, conflicts } = result;
  const microsPerJob = ({ cpuSeconds: spent, placed: count }: ScaleResult) => (spent * 1e6) / count;
  const controls = Object.entries(result.controls).map(([by, over]) => `${by} ${over.toFixed(3)}`);
  const growth = microsPerJob(result) / microsPerJob(smallest);
  return [
    `${hosts} hosts, ${jobs} jobs: ${placed} placed, ${pending} pending`,
    `${seconds.toFixed(1)} s (${cpuSeconds.toFixed(1)} s of processor)`,
    `${Math.round(placed / seconds)} jobs/s`,
    `${microsPerJob(result).toFixed(1)} us each, ${growth.toFixed(2)}x the smallest size`,
    `${commits} commits, ${((100 * conflicts) / (commits + conflicts)).toFixed(2)} % conflicts`,
    `one decision p99 ${result.decisionP99Ms.toFixed(2)} ms, nine tenths full`,
    `${result.unevenServices} services uneven by more than 1`,
    `hard packing ${result.packing.toFixed(3)}x the lower bound (${controls.join(', ')})`,
    `${(result.peakBytes / 1024 ** 3).toFixed(2)} GB at most`,
  ].join('\n  ');
}
