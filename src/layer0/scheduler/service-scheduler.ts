// The decider of long-running jobs: places for those that wait, then what the formations of changed apps ask for.
// It remembers only which part of the state it has nothing to do about; the decisions are in decide/.

import type { ClusterState } from './cluster-state.ts';
import { diffFormations } from './decide/diff-formations.ts';
import { isLost, nextLossInMs } from './decide/lost-hosts.ts';
import { type PriorityRange, placePending } from './decide/place-pending.ts';
import { PlanBoard } from './decide/plan-board.ts';
import type { DecideContext, Later, Planning, Step } from './decide/steps.ts';
import type { Decider } from './elected-scheduler.ts';
import { hostClaimPrefix } from './wire.ts';

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
  #lookedAt = '';
  #hostsSeen = '';
  #areClaimsChecked = false;
  /** Apps to look at again: at a monotonic time, or when there is more room than `#stuckAt` knew. */
  readonly #soon = new Map<string, number>();
  readonly #stuck = new Set<string>();
  #stuckAt = 0;

  /** Other decisions than the real ones: tests that show what a guard is for. */
  constructor(replaced: Partial<ServiceDecisions> = {}) {
    this.#decisions = { ...decisions, ...replaced };
  }

  begin(state: ClusterState): void {
    state.markAllDirty();
    this.#refusedAt = '';
    this.#soon.clear();
    this.#stuck.clear();
  }

  *decide(state: ClusterState, context: DecideContext): Generator<Step> {
    const later: Later = { soon: new Map(), stuck: this.#stuck };
    const planning: Planning = { board: new PlanBoard(state, context), context, later };
    this.#wake(state, context);
    const hosts = hostsVersion(state, context);
    if (hosts !== this.#hostsSeen) {
      this.#hostsSeen = hosts;
      this.#areClaimsChecked = false;
      state.markAllDirty();
    }
    if (!this.#areClaimsChecked) yield* this.#forgetHosts(state);
    this.#lookedAt = `${hosts}/${state.capacityVersion}/${state.pendingVersion}`;
    const isWorthTrying = this.#refusedAt !== this.#lookedAt;
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
    for (const [app, inMs] of later.soon) this.#soon.set(app, context.monotonicMs + inMs);
    const rest = { from: Number.NEGATIVE_INFINITY, below };
    if (isWorthTrying) yield* this.#decisions.placePending(state, 'service', planning, rest);
  }

  settled(): void {
    this.#refusedAt = this.#lookedAt;
  }

  nextInMs(state: ClusterState, context: DecideContext): number | undefined {
    const soon = [...this.#soon.values()].map((atMs) => Math.max(1, atMs - context.monotonicMs));
    const lossMs = nextLossInMs(state, context);
    const nextMs = Math.min(lossMs ?? Number.POSITIVE_INFINITY, ...soon);
    return nextMs === Number.POSITIVE_INFINITY ? undefined : nextMs;
  }

  /** Claims of hosts that were taken out. */
  *#forgetHosts(state: ClusterState): Generator<Step> {
    const gone = [...state.claims.keys()].filter(
      (key) =>
        key.startsWith(hostClaimPrefix) && !state.hosts.has(key.slice(hostClaimPrefix.length)),
    );
    for (const claim of gone) yield { kind: 'forget', claim };
    this.#areClaimsChecked = gone.length === 0;
  }

  /** Apps whose time has come, and those that waited for room when there may be some. */
  #wake(state: ClusterState, { monotonicMs }: DecideContext): void {
    for (const [app, atMs] of this.#soon) {
      if (atMs > monotonicMs) continue;
      this.#soon.delete(app);
      state.lookAgainAt(app);
    }
    if (this.#stuckAt === state.capacityVersion) return;
    this.#stuckAt = state.capacityVersion;
    for (const app of this.#stuck) state.lookAgainAt(app);
    this.#stuck.clear();
  }
}

/** Changes with every fact about a host, and when one that is away begins to count as lost. */
function hostsVersion(state: ClusterState, context: DecideContext): string {
  let lost = 0;
  for (const { id } of state.away) if (isLost(state, id, context)) lost++;
  return `${state.hostsVersion}/${lost}`;
}
