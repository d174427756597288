// What every process of Gantry on a machine holds (PSS) and has used: its own containers, the registry and etcd among
// them, and its system processes. The engine is not counted.

import type { Machine } from '../../test/cluster/machine.ts';

const script = `for name in $(docker ps --format '{{.Names}}' \
    | grep -E '^gantry-(host|dns|registry|etcd|gantry-)'); do
  docker top "$name" -eo pid,args | tail -n +2 | while read -r pid args; do
    pss=$(awk '/^Pss:/{sum+=$2} END{print sum+0}' /proc/$pid/smaps_rollup 2>/dev/null)
    ticks=$(awk '{print $14+$15}' /proc/$pid/stat 2>/dev/null)
    echo "$name $pid \${pss:-0} \${ticks:-0}"
  done
done`;

export interface PlatformMemory {
  megabytes: number;
  /** Megabytes by name of a process: `host`, `router`. */
  parts: Record<string, number>;
  /** Processor time since they were started, in hundredths of a second. */
  ticks: number;
}

export async function platformMemory(machine: Machine): Promise<PlatformMemory> {
  const text = await machine.must(script);
  const parts: Record<string, number> = {};
  let [megabytes, ticks] = [0, 0];
  for (const line of text.trim().split('\n')) {
    const [name = '', , kilobytes, used] = line.split(' ');
    const short = name.replace(/^gantry-(gantry-)?/, '').replace(/-\d+-\w+-\d+$/, '');
    parts[short] = (parts[short] ?? 0) + Number(kilobytes) / 1024;
    megabytes += Number(kilobytes) / 1024;
    ticks += Number(used);
  }
  return { megabytes, parts, ticks };
}

export function describeParts({ parts }: PlatformMemory): string {
  return Object.entries(parts)
    .map(([name, megabytes]) => `${name} ${Math.round(megabytes)}`)
    .join(', ');
}
