// Which hosts need not be asked for room: for each block of neighbouring slots, the most that one of them has free. Taking
// only makes a bound too wide, which is harmless; whatever gives back, or changes a host, forgets its block's bound.

import type { HostIndex } from './host-index.ts';

/** What of a job's needs the bounds are about. */
export interface Needs {
  memoryBytes: number;
  cpuMillis: number;
  /** How much of what a host offers may be promised. */
  memoryFactor: number;
  cpuFactor: number;
}

interface Bound {
  memoryBytes: number;
  cpuMillis: number;
  /** Something was taken since it was found. */
  isWide: boolean;
}

const blockSlots = 64;

export class RoomBounds {
  readonly #bounds: (Bound | undefined)[] = [];
  #memoryFactor = 0;
  #cpuFactor = 0;

  forget(slot: number): void {
    this.#bounds[Math.floor(slot / blockSlots)] = undefined;
  }

  noteTaken(slot: number): void {
    const bound = this.#bounds[Math.floor(slot / blockSlots)];
    if (bound) bound.isWide = true;
  }

  /** The first slot from this one on that is not in a block without room. */
  skipFull(needs: Needs, slot: number): number {
    if (needs.memoryFactor !== this.#memoryFactor || needs.cpuFactor !== this.#cpuFactor)
      return slot;
    for (let block = Math.floor(slot / blockSlots); ; block++) {
      const bound = this.#bounds[block];
      const isFull =
        bound && (needs.memoryBytes > bound.memoryBytes || needs.cpuMillis > bound.cpuMillis);
      if (!isFull) return Math.max(slot, block * blockSlots);
    }
  }

  isBeginning(slot: number): boolean {
    return slot % blockSlots === 0;
  }

  /** Where the block of a slot ends. */
  endOf(slot: number): number {
    return (Math.floor(slot / blockSlots) + 1) * blockSlots;
  }

  /** Nobody in this block had room: finds out how much they have. */
  find(needs: Needs, slot: number, index: HostIndex): void {
    const { memoryFactor, cpuFactor } = needs;
    if (memoryFactor !== this.#memoryFactor || cpuFactor !== this.#cpuFactor) {
      this.#bounds.length = 0;
      this.#memoryFactor = memoryFactor;
      this.#cpuFactor = cpuFactor;
    }
    const block = Math.floor(slot / blockSlots);
    if (this.#bounds[block]?.isWide === false) return;
    const bound = { memoryBytes: -Infinity, cpuMillis: -Infinity, isWide: false };
    const { isThere, offeredMemoryBytes, offeredCpuMillis, memoryBytes, cpuMillis } = index;
    const end = Math.min(index.size, this.endOf(slot));
    for (let one = block * blockSlots; one < end; one++) {
      if (isThere[one] !== 1) continue;
      const memory = (offeredMemoryBytes[one] ?? 0) * memoryFactor - (memoryBytes[one] ?? 0);
      const cpu = (offeredCpuMillis[one] ?? 0) * cpuFactor - (cpuMillis[one] ?? 0);
      bound.memoryBytes = Math.max(bound.memoryBytes, memory);
      bound.cpuMillis = Math.max(bound.cpuMillis, cpu);
    }
    this.#bounds[block] = bound;
  }
}
