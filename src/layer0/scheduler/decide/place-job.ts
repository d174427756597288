// Which host gets this job? The best of those that every filter lets through, or the reason why there is none.
// Among many hosts a sample is compared; all of them are asked where the sample has none, or a worse one than there may be.

import type { Claimant } from '../host-index.ts';
import { type Demand, demandOf, peersOn } from './demand.ts';
import { besidesRoom, explain } from './filters.ts';
import type { PlanBoard } from './plan-board.ts';
import { Scatter } from './scatter.ts';
import { hasWishes, type PlacementRule, type Score, scoresOf } from './scores.ts';
import type { PlacementLimits } from './steps.ts';

export type Placement = { host: string } | { pendingReason: string };

export function placeJob(
  board: PlanBoard,
  job: Claimant,
  limits: PlacementLimits,
  rule: PlacementRule = job.placement,
): Placement {
  const demand = demandOf(board, job, limits);
  const isSample = !isComparedWithAll(demand);
  const search =
    isSample && rule === 'spread' ? new Scatter(demand) : new Comparison(demand, rule, isSample);
  if (!isSample) search.lookBetween(0, board.size, board.size);
  else {
    lookRound(search, demand, sampleStart(demand, rule));
    // A service is spread evenly over all hosts, not only over those of a sample.
    if (rule === 'spread' && search.best !== -1 && peersOn(demand, search.best) > 0)
      search.lookBetween(0, board.size, board.size);
  }
  const host = board.at(search.best);
  return host ? { host: host.id } : { pendingReason: explain(demand) };
}

interface Search {
  /** Slot of the best host so far; -1 while there is none. */
  best: number;
  /** Compares the first `most` fitting hosts of these; returns how many there were. */
  lookBetween(from: number, to: number, most: number): number;
}

/** A sample from a slot on, and round. */
function lookRound(search: Search, { board, limits }: Demand, start: number): void {
  const found = search.lookBetween(start, board.size, limits.candidateHosts);
  search.lookBetween(0, start, limits.candidateHosts - found);
}

/** Few hosts, or rules that one host in a hundred may be alone to meet. */
function isComparedWithAll(demand: Demand): boolean {
  const { board, limits, peersByTag } = demand;
  return board.size <= limits.candidateHosts || peersByTag !== undefined || hasWishes(demand);
}

/**
 * Packed jobs all begin with the first host: they want to be together. Others begin where their group was not yet, so that
 * groups do not crowd the same few hosts, and that schedulers at work at the same time seldom want the same one.
 */
function sampleStart({ board, group, limits, peers }: Demand, rule: PlacementRule): number {
  if (rule !== 'spread' && rule !== 'aside') return 0;
  const used = peers[0].size + peers[1].size;
  return (scatter(group) + used * limits.candidateHosts) % board.size;
}

function scatter(text: string): number {
  let hash = 0;
  for (let place = 0; place < text.length; place++)
    hash = (Math.imul(hash, 31) + text.charCodeAt(place)) >>> 0;
  return hash;
}

/** By the rows of questions of a rule. */
class Comparison implements Search {
  best = -1;
  readonly #demand: Demand;
  /** Besides having room. */
  readonly #isFitting: ((slot: number) => boolean) | undefined;
  readonly #scores: Score[];
  readonly #bestScores: number[];
  readonly #isSample: boolean;

  constructor(demand: Demand, rule: PlacementRule, isSample: boolean) {
    this.#isSample = isSample;
    this.#demand = demand;
    this.#isFitting = besidesRoom(demand);
    this.#scores = scoresOf(demand, rule);
    this.#bestScores = this.#scores.map(() => Number.POSITIVE_INFINITY);
  }

  lookBetween(from: number, to: number, most: number): number {
    const demand = this.#demand;
    const isFitting = this.#isFitting;
    let found = 0;
    for (let slot = from; slot < to && found < most; slot++) {
      slot = demand.board.nextWithRoom(demand, slot, to);
      if (slot === -1) break;
      if (isFitting && !isFitting(slot)) continue;
      found++;
      this.#offer(slot);
    }
    return found;
  }

  #offer(slot: number): void {
    const { length } = this.#scores;
    for (let place = 0; place < length; place++) {
      const value = this.#score(place, slot);
      const known = this.#bestScores[place] ?? 0;
      if (value > known) return;
      if (value === known) continue;
      this.#take(slot, place);
      return;
    }
    // Of a sample the first one stays: each begins elsewhere.
    if (!this.#isSample && this.#idOf(slot) < this.#idOf(this.best)) this.best = slot;
  }

  #take(slot: number, firstBetter: number): void {
    this.best = slot;
    for (let place = firstBetter; place < this.#scores.length; place++)
      this.#bestScores[place] = this.#score(place, slot);
  }

  #score(place: number, slot: number): number {
    return this.#scores[place]?.(this.#demand, slot) ?? 0;
  }

  #idOf(slot: number): string {
    return this.#demand.board.at(slot)?.id ?? '';
  }
}
