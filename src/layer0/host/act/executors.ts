// One executor per kind of step. A kind without one does not compile.

import type { Step, StepKind } from '../steps.ts';
import type { JobView } from '../view.ts';
import { attachNetwork } from './attach-network.ts';
import { checkImage } from './check-image.ts';
import { choosePorts } from './choose-ports.ts';
import { create } from './create.ts';
import { markDraining, register, unregister } from './discovery.ts';
import { freeAddress, kill, remove, signal } from './end.ts';
import { unwatchHealth, watchHealth } from './health.ts';
import type { ActDeps, Executor, Outcome } from './outcome.ts';
import { prepareVolumes } from './prepare-volumes.ts';
import { start } from './start.ts';
import { takeStartSlot } from './take-start-slot.ts';
import { writeStatus } from './write-status.ts';

const executors: { [K in StepKind]: Executor<K> } = {
  checkImage,
  takeStartSlot,
  prepareVolumes,
  choosePorts,
  attachNetwork,
  create,
  start,
  watchHealth,
  unwatchHealth,
  register,
  markDraining,
  unregister,
  signal,
  kill,
  remove,
  freeAddress,
  writeStatus,
};

export function execute(step: Step, view: JobView, deps: ActDeps): Promise<Outcome> {
  return (executors[step.kind] as Executor<typeof step.kind>)(step as never, view, deps);
}
