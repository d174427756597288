// Which of the hosts that fit is best? Each rule is a row of questions; the next one counts where all before it are equal.

import type { Claimant } from '../host-index.ts';
import { type Demand, freeCpuMillis, freeMemoryBytes, peersBesides, peersOn } from './demand.ts';

/** Lower is better. */
export type Score = (demand: Demand, slot: number) => number;

export type PlacementRule = Claimant['placement'] | 'fill' | 'aside';

/** From here on a host has no time for more, whatever it has promised. */
const tooBusyPercent = 90;

const jobsThere: Score = ({ board }, slot) => board.jobs(slot);
const jobsNotThere: Score = ({ board }, slot) => -board.jobs(slot);
const isEmpty: Score = ({ board }, slot) => (board.jobs(slot) > 0 ? 0 : 1);
const isTooBusy: Score = ({ board }, slot) =>
  (board.index.busyPercent[slot] ?? 0) >= tooBusyPercent ? 1 : 0;

/** In quarters: what is measured wavers, and what was placed a moment ago is not yet in it. */
const busyQuarter: Score = ({ board }, slot) =>
  Math.min(3, Math.floor((board.index.busyPercent[slot] ?? 0) / 25));

/** How many wishes about neighbours the host does not meet. */
const unmetWishes: Score = ({ near, apart }, slot) => {
  let unmet = 0;
  for (const { rule, slots } of near) if (!rule.isRequired && !slots.has(slot)) unmet++;
  for (const { rule, slots } of apart) if (!rule.isRequired && slots.has(slot)) unmet++;
  return unmet;
};

/** Packed jobs come to where there are some. */
const isPackedOn: Score = ({ board }, slot) => ((board.index.packedJobs[slot] ?? 0) > 0 ? 1 : 0);

/** A service that is being spread over all hosts comes last to those where it just was. */
const servedLongAgo: Score = ({ board }, slot) => -board.servedAt(slot);

const sharePromised: Score = (demand, slot) => demand.board.shareWith(demand, slot);

/**
 * Where little and evenly much of memory and cpu is left over: a host that has much of one and nothing of the other is of
 * no use to anybody. What is nearly empty stays so and becomes empty.
 */
const leftOver: Score = (demand, slot) => {
  const memory = memoryLeft(demand, slot);
  const cpu = cpuLeft(demand, slot);
  return memory * memory + cpu * cpu + 4 * (memory - cpu) ** 2;
};

/**
 * Of a batch that comes largest first: where the demand has the shape of what is free, so that both run out together, and
 * where most of the scarcer one stays for what follows. Needs fewer hosts than `leftOver` (bench/schedule.ts has both
 * figures), but would keep every host half full where jobs come and go one by one.
 */
const misfit: Score = (demand, slot) => {
  const left = { memory: memoryLeft(demand, slot), cpu: cpuLeft(demand, slot) };
  const needs = {
    memory: demand.memoryBytes / memoryOffered(demand, slot),
    cpu: demand.cpuMillis / cpuOffered(demand, slot),
  };
  const free = { memory: left.memory + needs.memory, cpu: left.cpu + needs.cpu };
  const lengths = Math.hypot(needs.memory, needs.cpu) * Math.hypot(free.memory, free.cpu);
  const alignment = (needs.memory * free.memory + needs.cpu * free.cpu) / lengths;
  return -alignment - 0.3 * Math.min(left.memory, left.cpu);
};

const rules: Record<PlacementRule, Score[]> = {
  spread: [peersOn, busyQuarter, jobsThere, sharePromised],
  // Where services want to be least, so that two schedulers at work at the same time seldom want the same host.
  aside: [peersOn, busyQuarter, isPackedOn, servedLongAgo, jobsNotThere],
  binpack: [isTooBusy, isEmpty, leftOver],
  fill: [isTooBusy, isEmpty, misfit],
};

export function scoresOf(demand: Demand, rule: PlacementRule): Score[] {
  return [
    ...(hasWishes(demand) ? [unmetWishes] : []),
    ...(demand.peersByTag ? [peersBesides] : []),
    ...rules[rule],
  ];
}

export function hasWishes({ near, apart }: Demand): boolean {
  return [...near, ...apart].some(({ rule }) => !rule.isRequired);
}

/** What stays free with the job there, as a share of what may be promised. */
function memoryLeft(demand: Demand, slot: number): number {
  return (freeMemoryBytes(demand, slot) - demand.memoryBytes) / memoryOffered(demand, slot);
}

function cpuLeft(demand: Demand, slot: number): number {
  return (freeCpuMillis(demand, slot) - demand.cpuMillis) / cpuOffered(demand, slot);
}

function memoryOffered({ board, memoryFactor }: Demand, slot: number): number {
  return (board.index.offeredMemoryBytes[slot] || 1) * memoryFactor;
}

function cpuOffered({ board, cpuFactor }: Demand, slot: number): number {
  return (board.index.offeredCpuMillis[slot] || 1) * cpuFactor;
}
