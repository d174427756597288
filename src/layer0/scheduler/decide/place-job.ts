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
 * and nothing of the other is of no use to anybody. What is nearly empty stays so and becomes empty.
 */
const binpack: Score = (demand, host) => {
  const { memory, cpu } = fractionsFree(demand, host);
  return [host.jobs > 0 ? 0 : 1, memory * memory + cpu * cpu + 4 * (memory - cpu) ** 2, 0];
};

/**
 * Of a batch that comes largest first: where the demand has the shape of what is free, so that both run out together, and
 * where most of the scarcer one stays for what follows. Needs fewer hosts than `binpack` (bench/schedule.ts has both
 * figures), but would keep every host half full where jobs come and go one by one.
 */
const fill: Score = (demand, host) => {
  const { memory, cpu } = fractionsFree(demand, host);
  const needs = fractionsNeeded(demand, host);
  const free = { memory: memory + needs.memory, cpu: cpu + needs.cpu };
  const lengths = Math.hypot(needs.memory, needs.cpu) * Math.hypot(free.memory, free.cpu);
  const alignment = (needs.memory * free.memory + needs.cpu * free.cpu) / lengths;
  return [host.jobs > 0 ? 0 : 1, -alignment - 0.3 * Math.min(memory, cpu), 0];
};

const scores: Record<PlacementRule, Score> = { spread, binpack, fill };

export type PlacementRule = Claimant['placement'] | 'fill';

export function placeJob(
  board: PlanBoard,
  job: Claimant,
  limits: PlacementLimits,
  rule: PlacementRule = job.placement,
): Placement {
  const demand = demandOf(job, limits);
  const score = scores[rule];
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
function fractionsFree(demand: Demand, host: HostUsage): Fractions {
  const { limits } = demand;
  const offered = offeredBy(host, limits);
  return {
    memory: (freeMemoryBytes(host, limits) - demand.memoryBytes) / offered.memoryBytes,
    cpu: (freeCpuMillis(host, limits) - demand.cpuMillis) / offered.cpuMillis,
  };
}

function fractionsNeeded({ memoryBytes, cpuMillis, limits }: Demand, host: HostUsage): Fractions {
  const offered = offeredBy(host, limits);
  return { memory: memoryBytes / offered.memoryBytes, cpu: cpuMillis / offered.cpuMillis };
}

interface Fractions {
  memory: number;
  cpu: number;
}

function offeredBy({ record }: HostUsage, limits: PlacementLimits) {
  const { memoryBytes = 1, cpuMillis = 1 } = record ?? {};
  return {
    memoryBytes: (memoryBytes * limits.memoryOvercommitPercent) / 100,
    cpuMillis: (cpuMillis * limits.cpuOvercommitPercent) / 100,
  };
}

/** Of the scarcer of the two. */
function fractionFree(demand: Demand, host: HostUsage): number {
  const { memory, cpu } = fractionsFree(demand, host);
  return Math.min(memory, cpu);
}
