// The decider of one-off jobs: a place for each as soon as it is written, and an end to records that were kept long enough.

import type { ClusterState } from './cluster-state.ts';
import { collectEphemeral, nextCollectionInMs } from './decide/collect-ephemeral.ts';
import { placePending } from './decide/place-pending.ts';
import { PlanBoard } from './decide/plan-board.ts';
import type { DecideContext, Step } from './decide/steps.ts';
import type { Decider } from './elected-scheduler.ts';

export class EphemeralDecider implements Decider {
  begin(): void {}

  *decide(state: ClusterState, context: DecideContext): Generator<Step> {
    yield* placePending(state, 'ephemeral', { board: new PlanBoard(state, context), context });
    yield* collectEphemeral(state, context);
  }

  settled(): void {}

  nextInMs(state: ClusterState, context: DecideContext): number | undefined {
    return nextCollectionInMs(state, context);
  }
}
