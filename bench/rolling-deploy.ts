// How many requests does a rolling deploy lose? Keep-alive, close, WebSocket and 10 s slow clients on three instances, deploy
// after deploy, until a million requests were made. Needs the kept platform: `node test/cluster/run.ts --keep`.

import {
  failuresOf,
  LoadApp,
  type LoadKind,
  MixedLoad,
  requestsOf,
} from '../test/cluster/load-app.ts';
import { Platform } from '../test/cluster/platform.ts';
import type { BenchResult } from './result.ts';

/** Nobody on the way sends a POST a second time. */
const kinds: LoadKind[] = [
  { mode: 'keep-alive', clients: 12 },
  { mode: 'keep-alive', clients: 12, method: 'POST', body: 'order=1' },
  { mode: 'keep-alive', clients: 20, pauseMs: 900, method: 'POST', body: 'order=2' },
  { mode: 'close', clients: 4 },
  { mode: 'websocket', clients: 8, pauseMs: 100 },
  { mode: 'slow', clients: 10, slowMs: 10_000 },
];

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult> {
  const wanted = tiny ? 2_000 : 1_000_000;
  const platform = Platform.connect();
  const app = await LoadApp.create(platform, 'bench-rolling', 3);
  try {
    const load = new MixedLoad(platform.machine.address, app.name, kinds);
    const tookMs: number[] = [];
    const start = performance.now();
    while (load.requests < wanted || tookMs.length === 0) {
      const begin = performance.now();
      const { id } = await app.setEnv('ROUND', String(tookMs.length));
      const { state, reason } = await app.untilEnded(id, 600_000);
      if (state !== 'complete') throw new Error(`the deploy ended as ${state}: ${reason}`);
      tookMs.push(performance.now() - begin);
    }
    const reports = await load.stop();
    const failed = reports.reduce((sum, report) => sum + report.failed, 0);
    for (const line of failuresOf(reports)) console.error(line);
    const seconds = (performance.now() - start) / 1000;
    return summary({ failed, requests: requestsOf(reports), seconds, tookMs });
  } finally {
    await app.close();
  }
}

interface Outcome {
  failed: number;
  requests: number;
  seconds: number;
  /** Of each deploy. */
  tookMs: number[];
}

function summary({ failed, requests, seconds, tookMs }: Outcome): BenchResult {
  const sorted = tookMs.toSorted((a, b) => a - b);
  const middle = Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0);
  return {
    name: 'rolling deploy',
    figure: failed,
    unit: 'failed requests',
    peer: 'the bound',
    peerFigure: 0,
    ratio: failed === 0 ? 1 : Number.POSITIVE_INFINITY,
    target: '0',
    isMet: failed === 0,
    min: failed,
    max: failed,
    pairs: tookMs.length,
    note: `${requests} requests in ${Math.round(seconds)} s over ${tookMs.length} deploys, median ${middle} ms`,
  };
}

if (import.meta.main)
  console.log(JSON.stringify(await run({ tiny: process.argv.includes('--tiny') })));
