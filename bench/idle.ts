// What the platform costs while nothing happens: memory (PSS) of every Gantry process of the machine, and processor time.
// Needs the kept platform, left alone for a while: `node test/cluster/run.ts --keep`.

import { readFile } from 'node:fs/promises';
import { openSession } from './platform/session.ts';
import type { BenchResult } from './result.ts';

const limitMegabytes = 300;
const limitCorePercent = 2;
const script = `for name in $(docker ps --format '{{.Names}}' | grep -E '^gantry-(host|dns|gantry-)'); do
  docker top "$name" -eo pid,args | tail -n +2 | while read -r pid args; do
    pss=$(awk '/^Pss:/{sum+=$2} END{print sum+0}' /proc/$pid/smaps_rollup 2>/dev/null)
    ticks=$(awk '{print $14+$15}' /proc/$pid/stat 2>/dev/null)
    echo "$name $pid \${pss:-0} \${ticks:-0}"
  done
done`;

interface Sample {
  megabytes: Record<string, number>;
  ticks: number;
}

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult[]> {
  const session = await openSession();
  try {
    const take = async () => parse(await session.platform.machine.must(script));
    const before = await take();
    const seconds = tiny ? 2 : 60;
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const after = await take();
    const total = sum(after.megabytes);
    const percent = (after.ticks - before.ticks) / seconds;
    const parts = Object.entries(after.megabytes).map(
      ([name, megabytes]) => `${name} ${Math.round(megabytes)}`,
    );
    const [load] = (await readFile('/proc/loadavg', 'utf8')).split(' ');
    return [
      bound({
        name: 'idle memory, all processes',
        figure: total,
        unit: 'MB PSS',
        limit: limitMegabytes,
        note: parts.join(', '),
      }),
      bound({
        name: 'idle processor time',
        figure: percent,
        unit: '% of a core',
        limit: limitCorePercent,
        note: `over ${seconds} s, load ${load}`,
      }),
    ];
  } finally {
    session.close();
  }
}

function parse(text: string): Sample {
  const sample: Sample = { megabytes: {}, ticks: 0 };
  for (const line of text.trim().split('\n')) {
    const [name = '', , kilobytes, ticks] = line.split(' ');
    const short = name.replace(/^gantry-(gantry-)?/, '').replace(/-\d+-\w+-\d+$/, '');
    sample.megabytes[short] = (sample.megabytes[short] ?? 0) + Number(kilobytes) / 1024;
    sample.ticks += Number(ticks);
  }
  return sample;
}

function sum(parts: Record<string, number>): number {
  return Object.values(parts).reduce((total, part) => total + part, 0);
}

/** The peer is the bound itself. */
function bound(options: {
  name: string;
  figure: number;
  unit: string;
  limit: number;
  note: string;
}): BenchResult {
  const { name, figure, unit, limit, note } = options;
  const ratio = figure / limit;
  const isMet = ratio <= 1;
  const common = { name, figure, unit, peer: 'the bound', peerFigure: limit, ratio, isMet, note };
  return { ...common, target: `<= ${limit} ${unit}`, min: ratio, max: ratio, pairs: 1 };
}
