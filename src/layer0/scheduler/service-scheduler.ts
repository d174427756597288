// The decider of long-running jobs: places for those that wait, then what the formations of changed apps ask for.
// It remembers only which part of the state it has nothing to do about; the decisions are in decide/.

import type { ClusterState } from './cluster-state.ts';
import { diffFormations } from './decide/diff-formations.ts';
import { isLost, nextLossInMs } from './decide/lost-hosts.ts';
import { type PriorityRange, placePending } from './decide/place-pending.ts';
import { PlanBoard } from './decide/plan-board.ts';
import type { DecideContext, Planning, Step } from './decide/steps.ts';
import type { Decider } from './elected-scheduler.ts';

export interface ServiceDecisions {
  diffFormations(state: ClusterState, app: string, planning: Planning): Iterable<Step>;
  placePending(
    state: ClusterState,
    kind: 'service',
    planning: Planning,
    range: PriorityRange,
  ): Iterable<Step>;
}

const decisions: ServiceDecisions = { diffFormations, placePending };

export class ServiceDecider implements Decider {
  readonly #decisions: ServiceDecisions;
  /** What was true when the waiting jobs were last found to have no place. */
  #refusedAt = '';
  #hostsSeen = '';

  /** Other decisions than the real ones: tests that show what a guard is for. */
  constructor(replaced: Partial<ServiceDecisions> = {}) {
    this.#decisions = { ...decisions, ...replaced };
  }

  begin(state: ClusterState): void {
    state.markAllDirty();
    this.#refusedAt = '';
  }

  *decide(state: ClusterState, context: DecideContext): Generator<Step> {
    const planning: Planning = { board: new PlanBoard(state), context };
    const hosts = hostsVersion(state, context);
    if (hosts !== this.#hostsSeen) {
      this.#hostsSeen = hosts;
      state.markAllDirty();
    }
    const isWorthTrying = this.#refusedAt !== waitVersion(state);
    let below = Number.POSITIVE_INFINITY;
    for (const [priority, apps] of state.dirtyApps.byPriority()) {
      // Those that wait come before those that are new, as long as they are not less important.
      const range = { from: priority, below };
      if (isWorthTrying) yield* this.#decisions.placePending(state, 'service', planning, range);
      below = priority;
      for (const app of apps) {
        let isSettled = true;
        for (const step of this.#decisions.diffFormations(state, app, planning)) {
          isSettled = false;
          yield step;
        }
        if (isSettled) state.dirtyApps.delete(app);
      }
    }
    const rest = { from: Number.NEGATIVE_INFINITY, below };
    if (isWorthTrying) yield* this.#decisions.placePending(state, 'service', planning, rest);
  }

  settled(state: ClusterState): void {
    this.#refusedAt = waitVersion(state);
  }

  nextInMs(state: ClusterState, context: DecideContext): number | undefined {
    return nextLossInMs(state, context);
  }
}

function waitVersion(state: ClusterState): string {
  return `${state.capacityVersion}/${state.pendingVersion}`;
}

/** Changes with every fact about a host, and when one that is away begins to count as lost. */
function hostsVersion(state: ClusterState, context: DecideContext): string {
  let lost = 0;
  for (const { id } of state.away) if (isLost(state, id, context)) lost++;
  return `${state.hostsVersion}/${lost}`;
}
