// Three machines get power at once: how soon after the last engine answers does the API, at every machine's router? The
// peer is the engines' own start. On the kept machines, or on three that it makes and takes away.

import { readFile } from 'node:fs/promises';
import { Bed, untilServes } from '../test/cluster/bed.ts';
import { withPlatform } from '../test/cluster/bring-up.ts';
import { resultOf } from './measure.ts';
import { powerCycle, theApi, untilAnswersAtEach } from './platform/power.ts';
import type { BenchResult } from './result.ts';

const limitMs = 10_000;
const anApp = { host: 'hello.gantry.localhost', expects: 'Hello' };

export function run({ tiny }: { tiny: boolean }): Promise<BenchResult> {
  return withPlatform(() => measure(tiny ? 1 : 20));
}

async function measure(turns: number): Promise<BenchResult> {
  const bed = await Bed.of(3);
  const { machines } = bed;
  const pairs = [];
  const apps: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const { onMs, enginesMs } = await powerCycle(machines);
    const [apiMs, appMs] = await Promise.all([
      untilAnswersAtEach(machines, enginesMs, theApi),
      untilAnswersAtEach(machines, enginesMs, anApp),
    ]);
    pairs.push({ ours: apiMs, peer: enginesMs - onMs });
    apps.push(appMs);
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
