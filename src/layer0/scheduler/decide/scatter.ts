// `spread` among so many hosts that only some of them are compared: fewest of the group, then least busy, then roughly the
// least promised. One loop over the columns of the index: on a large cluster most of a scheduler's time would be here.

import { type Demand, peersOn } from './demand.ts';
import { besidesRoom } from './filters.ts';

/**
 * Steps that the share promised is compared in: schedulers at work at the same time would all want the one host with the
 * least promised, and get in each other's way.
 */
const shareSteps = 16;
/** One more of the group outweighs being busy, and that the share promised. */
const perQuarter = 2 * shareSteps;
const perPeer = 4 * perQuarter;

export class Scatter {
  /** Slot of the best host so far, the first one of equals; -1 while there is none. */
  best = -1;
  #bestScore = Number.POSITIVE_INFINITY;
  readonly #demand: Demand;
  readonly #isFitting: ((slot: number) => boolean) | undefined;

  constructor(demand: Demand) {
    this.#demand = demand;
    this.#isFitting = besidesRoom(demand);
  }

  /** The first `most` fitting hosts of these; returns how many there were. What has room is what `nextWithRoom` says. */
  lookBetween(from: number, to: number, most: number): number {
    const demand = this.#demand;
    const isFitting = this.#isFitting;
    const { board, memoryFactor, cpuFactor, pidsPerHost } = demand;
    const { index, isPlanned } = board;
    const { isThere, offeredMemoryBytes, offeredCpuMillis, busyPercent } = index;
    let found = 0;
    let blockEnd = from;
    for (let slot = from; slot < to && found < most; slot++) {
      if (slot === blockEnd) {
        slot = index.bounds.skipFull(demand, slot);
        blockEnd = index.bounds.endOf(slot);
        if (slot >= to) break;
      }
      if (isThere[slot] !== 1) continue;
      let memory = index.memoryBytes[slot] ?? 0;
      let cpu = index.cpuMillis[slot] ?? 0;
      let pids = index.pids[slot] ?? 0;
      if (isPlanned?.[slot] === 1) {
        const planned = board.plannedOn(slot);
        memory += planned.memoryBytes;
        cpu += planned.cpuMillis;
        pids += planned.pids;
      }
      memory += demand.memoryBytes;
      const mostMemory = (offeredMemoryBytes[slot] ?? 0) * memoryFactor;
      if (memory > mostMemory) continue;
      cpu += demand.cpuMillis;
      const mostCpu = (offeredCpuMillis[slot] ?? 0) * cpuFactor;
      if (cpu > mostCpu || pids + demand.pids > pidsPerHost) continue;
      if (isFitting && !isFitting(slot)) continue;
      found++;
      const share = Math.max(memory / (mostMemory || 1), cpu / (mostCpu || 1));
      const quarter = Math.min(3, Math.floor((busyPercent[slot] ?? 0) / 25));
      const score = quarter * perQuarter + Math.floor(share * shareSteps);
      // Who is beaten already need not be asked for its peers.
      if (score < this.#bestScore) this.#offer(slot, score + peersOn(demand, slot) * perPeer);
    }
    return found;
  }

  #offer(slot: number, score: number): void {
    if (score >= this.#bestScore) return;
    this.best = slot;
    this.#bestScore = score;
  }
}
