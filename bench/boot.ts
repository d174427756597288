// How soon after the engine answers does the platform? The machine is switched off and on; the peer is the engine's own start.
// Needs the kept platform: `node test/cluster/run.ts --keep`.

import { resultOf } from './measure.ts';
import { openSession, untilFirst200 } from './platform/session.ts';
import type { BenchResult } from './result.ts';

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult[]> {
  const session = await openSession();
  const { machine } = session.platform;
  try {
    const pairs = [];
    const first = [];
    for (let turn = 0; turn < (tiny ? 1 : 20); turn++) {
      await machine.powerOff();
      await machine.powerOn();
      const start = performance.now();
      await machine.startDocker();
      const engineMs = performance.now() - start;
      const api = {
        address: machine.address,
        port: 80,
        host: 'api.gantry.localhost',
        expects: '"isReady":true',
        path: '/healthz',
      };
      const apiMs = (await untilFirst200(start, api)) - engineMs;
      const app = {
        address: machine.address,
        port: 80,
        host: 'hello.gantry.localhost',
        expects: 'Hello',
      };
      first.push((await untilFirst200(start, app)) - engineMs);
      pairs.push({ ours: apiMs, peer: engineMs });
    }
    return [
      resultOf({
        name: 'boot to API ready, images present',
        unit: 'ms',
        peer: "the engine's own start",
        target: '<= 3 s after the engine answers',
        pairs,
        isMet: ({ figure }) => figure <= 3000,
        note: `apps answered again ${Math.round(Math.max(...first))} ms after the engine at the latest`,
      }),
    ];
  } finally {
    session.close();
  }
}
