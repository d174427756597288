// What one machine makes of the answers it gets. It counts questions, not time: while this process stands still it asks nothing,
// and holds that against nobody.

export interface HearingLimits {
  /** Unanswered questions in a row that make a silence; 0: there is none. */
  silentAfter: number;
  deafAfter: number;
}

interface Peer {
  /** Once at least: who was never heard may not be there yet. */
  wasHeard: boolean;
  /** Unanswered questions in a row. */
  missed: number;
}

export class Hearing {
  readonly #limits: HearingLimits;
  readonly #peers = new Map<string, Peer>();

  constructor(limits: HearingLimits) {
    this.#limits = limits;
  }

  /** These are asked from now on, and no others. */
  keep(hostIds: readonly string[]): void {
    const kept = new Set(hostIds);
    for (const id of this.#peers.keys()) if (!kept.has(id)) this.#peers.delete(id);
    for (const id of kept)
      if (!this.#peers.has(id)) this.#peers.set(id, { wasHeard: false, missed: 0 });
  }

  note(hostId: string, isAnswered: boolean): void {
    const peer = this.#peers.get(hostId);
    if (!peer) return;
    if (!isAnswered) peer.missed++;
    else {
      // Until now this machine was cut off: what it did not hear meanwhile is no silence.
      if (this.#isDeaf()) for (const other of this.#peers.values()) other.missed = 0;
      peer.wasHeard = true;
      peer.missed = 0;
    }
  }

  isAnswering(hostId: string): boolean {
    return this.#peers.get(hostId)?.missed === 0;
  }

  /** Those that answered once and do not any more, in the order of their ids; none while nobody answers. */
  silent(): string[] {
    const { silentAfter } = this.#limits;
    if (silentAfter === 0 || this.#isDeaf()) return [];
    const silent = [...this.#peers].filter(
      ([, { wasHeard, missed }]) => wasHeard && missed >= silentAfter,
    );
    return silent.map(([id]) => id).sort();
  }

  #isDeaf(): boolean {
    return [...this.#peers.values()].every(({ missed }) => missed >= this.#limits.deafAfter);
  }
}
