// Which host gets this job? The best of those that every filter lets through, or the reason why there is none.

import type { Claimant, HostUsage } from '../host-usage.ts';
import { type Demand, demandOf, explain, fits, freeCpuMillis, freeMemoryBytes } from './filters.ts';
import type { PlanBoard } from './plan-board.ts';
import type { PlacementLimits } from './steps.ts';

export type Placement = { host: string } | { pendingReason: string };

/** Lower is better; compared number by number. */
type Score = (demand: Demand, host: HostUsage) => [number, number, number];

/** Far from its own kind first, then where the least is promised. */
const spread: Score = (demand, host) => [
  host.groups.get(demand.group) ?? 0,
  host.jobs,
  -fractionFree(demand, host),
];

/**
 * On a host in use first; there, where little and evenly much of memory and cpu is left over: a host that has much of one
 * and nothing of the other is of no use to anybody.
 */
const binpack: Score = (demand, host) => {
  const { memory, cpu } = fractionsFree(demand, host);
  return [host.jobs > 0 ? 0 : 1, memory * memory + cpu * cpu + 4 * (memory - cpu) ** 2, 0];
};

const scores: Record<Claimant['placement'], Score> = { spread, binpack };

export function placeJob(board: PlanBoard, job: Claimant, limits: PlacementLimits): Placement {
  const demand = demandOf(job, limits);
  const score = scores[job.placement];
  let best: HostUsage | undefined;
  let bestScore: [number, number, number] | undefined;
  const start = board.size > limits.candidateHosts ? scatter(demand.group, board.size) : 0;
  let candidates = 0;
  for (let offset = 0; offset < board.size && candidates < limits.candidateHosts; offset++) {
    const host = board.at((start + offset) % board.size);
    if (!host || !fits(demand, host)) continue;
    candidates++;
    const hostScore = score(demand, host);
    if (!best || !bestScore || isBefore(hostScore, host, bestScore, best)) {
      best = host;
      bestScore = hostScore;
    }
  }
  if (best) return { host: best.id };
  const hosts = Array.from({ length: board.size }, (_, place) => board.at(place));
  return {
    pendingReason: explain(
      demand,
      hosts.filter((host) => host !== undefined),
    ),
  };
}

/** Where to begin among many hosts, so that groups do not crowd the same few. */
function scatter(text: string, size: number): number {
  let hash = 0;
  for (let place = 0; place < text.length; place++)
    hash = (Math.imul(hash, 31) + text.charCodeAt(place)) >>> 0;
  return hash % size;
}

function isBefore(
  a: [number, number, number],
  hostA: HostUsage,
  b: [number, number, number],
  hostB: HostUsage,
): boolean {
  for (const place of [0, 1, 2] as const) if (a[place] !== b[place]) return a[place] < b[place];
  return hostA.id < hostB.id;
}

/** What stays free with the job there, as shares of what the host offers. */
function fractionsFree({ memoryBytes, cpuMillis, limits }: Demand, host: HostUsage) {
  const offered = host.record ?? { memoryBytes: 1, cpuMillis: 1 };
  const cpuOffered = (offered.cpuMillis * limits.cpuOvercommitPercent) / 100;
  const memoryOffered = (offered.memoryBytes * limits.memoryOvercommitPercent) / 100;
  return {
    memory: (freeMemoryBytes(host, limits) - memoryBytes) / memoryOffered,
    cpu: (freeCpuMillis(host, limits) - cpuMillis) / cpuOffered,
  };
}

/** Of the scarcer of the two. */
function fractionFree(demand: Demand, host: HostUsage): number {
  const { memory, cpu } = fractionsFree(demand, host);
  return Math.min(memory, cpu);
}
