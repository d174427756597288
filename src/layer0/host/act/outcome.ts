// What a step needs and what it answers. An outcome is data; what throws is tried again with back-off.

import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';
import type { DiscoveryClient } from '#layer0/discovery/client';
import type { Network } from '#layer0/network/client';
import type { HostConfig } from '../config.ts';
import type { EngineView } from '../engine-view.ts';
import type { Prober } from '../health/prober.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Seal } from '../seal.ts';
import type { StartSlots } from '../slots.ts';
import type { StatusWriter } from '../status-writer.ts';
import type { StepKind, StepOf } from '../steps.ts';
import type { Tenure } from '../tenure.ts';
import type { Failure, JobView } from '../view.ts';

export type Outcome =
  | { done: true }
  /** The attempt cannot go on. */
  | { failed: Failure };

export const done: Outcome = { done: true };

export interface ActDeps {
  runtime: Runtime;
  engine: EngineView;
  network: Pick<Network, 'ensureAppNetwork' | 'allocate' | 'release' | 'claim'>;
  discovery: DiscoveryClient;
  seal: Seal;
  slots: StartSlots;
  prober: Prober;
  statuses: StatusWriter;
  ports: PortBook;
  tenure: Tenure;
  clock: Clock;
  config: HostConfig;
  /** Of the store, for the container's label. */
  incarnation(): string;
  /** Brings an image here from another machine; false when none has it. */
  fetchImage?: ((image: string) => Promise<boolean>) | undefined;
  /** For tests that end the agent between any two steps. */
  onStep?: ((kind: StepKind, jobId: string) => void) | undefined;
  /** Whether another machine has been silent for so long that nobody waits for it. */
  isLost(machine: string): boolean;
  /** Asks for another pass of this job. */
  trigger(jobId: string): void;
}

/** Loopback ports of this host. */
export interface PortBook {
  /** Free ones, one per name, reserved for the job until `release`; host.noFreePort when there are none left. */
  reserve(jobId: string, names: readonly string[]): Promise<Record<string, number>>;
  /** Notes ports that an adopted container has. */
  note(jobId: string, ports: Record<string, number>): void;
  release(jobId: string): void;
}

/** May write `view.memory` and `view.status`; must be safe to run again after a crash at any point. */
export type Executor<K extends StepKind> = (
  step: StepOf<K>,
  view: JobView,
  deps: ActDeps,
) => Promise<Outcome>;

/** An engine's final no ends the attempt; anything else goes on to the loop, which tries again. */
export function failedByEngine(error: unknown, attempted: string): Outcome {
  const known = toAppError(error);
  if (!known.code.startsWith('engine.') || known.retry) throw error;
  return { failed: { reason: `${attempted}: ${known.message}`, isFinal: false } };
}
