// Three machines get power at once: how soon after the last engine answers does the API, at every machine's router? The
// peer is the engines' own start. On the kept machines, or on three that it makes and takes away.

import { readFile } from 'node:fs/promises';
import { Bed, untilServes } from '../test/cluster/bed.ts';
import { withPlatform } from '../test/cluster/bring-up.ts';
import type { Machine } from '../test/cluster/machine.ts';
import { resultOf } from './measure.ts';
import { type FirstAnswer, untilFirst200 } from './platform/session.ts';
import type { BenchResult } from './result.ts';

const limitMs = 10_000;

export function run({ tiny }: { tiny: boolean }): Promise<BenchResult> {
  return withPlatform(() => measure(tiny ? 1 : 20));
}

async function measure(turns: number): Promise<BenchResult> {
  const bed = await Bed.of(3);
  const { machines } = bed;
  const pairs = [];
  const apps: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    for (const machine of machines) await machine.powerOff();
    for (const machine of machines) await machine.powerOn();
    const start = performance.now();
    await Promise.all(machines.map((machine) => machine.startDocker()));
    const engineMs = performance.now() - start;
    const [apiMs, appMs] = await Promise.all([
      untilAll(machines, start, {
        host: 'api.gantry.localhost',
        path: '/healthz',
        expects: '"isReady":true',
      }),
      untilAll(machines, start, { host: 'hello.gantry.localhost', expects: 'Hello' }),
    ]);
    pairs.push({ ours: apiMs - engineMs, peer: engineMs });
    apps.push(appMs - engineMs);
    await bed.untilAllUp();
    for (const machine of machines) await untilServes(machine);
  }
  const [load] = (await readFile('/proc/loadavg', 'utf8')).split(' ');
  return resultOf({
    name: 'boot of three machines to API ready at each, images present',
    unit: 'ms',
    peer: "the engines' own start",
    target: `<= ${limitMs / 1000} s after the last engine answers`,
    pairs,
    isMet: ({ figure }) => figure <= limitMs,
    note: `apps answered everywhere ${Math.round(Math.max(...apps))} ms after it at the latest; load ${load}`,
  });
}

/** Milliseconds since `start` until the last machine's router answers. */
async function untilAll(
  machines: readonly Machine[],
  start: number,
  what: Pick<FirstAnswer, 'host' | 'path' | 'expects'>,
): Promise<number> {
  const answered = machines.map(({ address }) =>
    untilFirst200(start, { address, port: 80, ...what }),
  );
  return Math.max(...(await Promise.all(answered)));
}
