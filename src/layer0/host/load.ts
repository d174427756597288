// How busy is this machine, whoever makes it so? A number for placement: a host that is at work gets the next job last.

import { type CpuInfo, cpus, freemem, totalmem } from 'node:os';

/** What is in use right now, and all processor time since boot. */
export interface Measure {
  /** Milliseconds over all cores, idle and other. */
  idleMs: number;
  busyMs: number;
  freeBytes: number;
  totalBytes: number;
}

export interface LoadMeter {
  /** From 0 to 100: the larger of processor and memory; of the processor since the last call. */
  busyPercent(): number;
}

/** How much the newest measure counts: a short burst is no reason to go elsewhere. */
const newestShare = 0.3;

export function createLoadMeter(measure: () => Measure = measureMachine): LoadMeter {
  let last = measure();
  let cpuShare: number | undefined;
  return {
    busyPercent() {
      const now = measure();
      const busyMs = now.busyMs - last.busyMs;
      const allMs = busyMs + now.idleMs - last.idleMs;
      last = now;
      const newest = allMs > 0 ? busyMs / allMs : (cpuShare ?? 0);
      cpuShare = cpuShare === undefined ? newest : cpuShare + newestShare * (newest - cpuShare);
      const memoryShare = now.totalBytes > 0 ? 1 - now.freeBytes / now.totalBytes : 0;
      const share = Math.max(cpuShare, memoryShare);
      return Math.round(100 * Math.min(1, Math.max(0, share)));
    },
  };
}

function measureMachine(): Measure {
  const sum = (read: (times: CpuInfo['times']) => number) =>
    cpus().reduce((all, { times }) => all + read(times), 0);
  return {
    idleMs: sum(({ idle }) => idle),
    busyMs: sum(({ user, nice, sys, irq }) => user + nice + sys + irq),
    freeBytes: freemem(),
    totalBytes: totalmem(),
  };
}
