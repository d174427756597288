// Starts at once, capped: an engine that is flooded starts nothing faster. First come, first served; waiting is data.

export class StartSlots {
  readonly #limit: number;
  readonly #held = new Set<string>();
  readonly #queue = new Map<string, () => void>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** True when the job holds a slot now; otherwise it is queued and `onTurn` is called once, when it holds one. */
  take(jobId: string, onTurn: () => void): boolean {
    if (this.#held.has(jobId)) return true;
    if (this.#held.size < this.#limit && this.#queue.size === 0) {
      this.#held.add(jobId);
      return true;
    }
    this.#queue.set(jobId, onTurn);
    return false;
  }

  /** Gives the slot, or the place in the queue, back. Holding none is no error. */
  release(jobId: string): void {
    this.#queue.delete(jobId);
    if (!this.#held.delete(jobId)) return;
    for (const [next, onTurn] of this.#queue) {
      if (this.#held.size >= this.#limit) break;
      this.#queue.delete(next);
      this.#held.add(next);
      onTurn();
    }
  }

  get waiting(): number {
    return this.#queue.size;
  }

  get held(): number {
    return this.#held.size;
  }
}
