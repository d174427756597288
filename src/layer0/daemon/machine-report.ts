// How is this machine, in what its components do not say themselves? Every question has a limit: a report always comes.

import { statfs } from 'node:fs/promises';
import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';
import type { LoopStatus } from '#core/reconcile';
import { within } from '#core/within';
import type { HostReport } from '#layer0/host/wire';
import type { Store } from '#layer0/store/client';

/** A store or an engine that has not answered by then hangs; who waits for a daemon gives an answer of it 2 s. */
export const answerLimitMs = 1_500;
/** Failures in a row of a loop that are more than bad luck. */
const failuresToTell = 3;
/** Two looks at the kernel, with time to mend between them; who asks all machines gives each 8 s. */
const compareLimitMs = 3_000;
/** Differences that a report names. */
const maxDifferences = 3;
/** Loops that a report names. */
const maxFailing = 10;

export interface MachineReportDeps {
  store: Pick<Store, 'get'>;
  runtime: { info(): Promise<unknown> };
  /** The folder whose disk counts. */
  home: string;
  clock: Clock;
  /** End of this machine's certificate; undefined where it has none. */
  certificateEndsAt(): number | undefined;
  /** For who examines the machine; a report for everybody goes without. */
  differences?: () => Promise<string[]>;
}

type MachineReport = Pick<
  HostReport,
  'now' | 'disk' | 'engine' | 'storeAnswer' | 'certificateEndsAt' | 'failingLoops' | 'overlay'
>;

/** `status` is what the components say: loops that keep failing are found in it. */
export async function reportMachine(
  deps: MachineReportDeps,
  status: Record<string, unknown>,
): Promise<MachineReport> {
  const { store, runtime, home, clock } = deps;
  const [engine, storeAnswer, disk, overlay] = await Promise.all([
    answers(clock, () => runtime.info()),
    answers(clock, () => store.get('membership/authority')),
    statfs(home).catch(() => undefined),
    // A loop that cannot look says so itself.
    deps.differences &&
      within(clock, compareLimitMs, deps.differences).then(tellDifferences, () => undefined),
  ]);
  const certificateEndsAt = deps.certificateEndsAt();
  return {
    now: clock.now(),
    engine,
    storeAnswer,
    failingLoops: findFailing(status),
    ...(disk
      ? { disk: { freeBytes: disk.bavail * disk.bsize, totalBytes: disk.blocks * disk.bsize } }
      : {}),
    ...(certificateEndsAt === undefined ? {} : { certificateEndsAt }),
    ...(overlay ? { overlay } : {}),
  };
}

function tellDifferences(commands: string[]): NonNullable<HostReport['overlay']> {
  return { count: commands.length, commands: commands.slice(0, maxDifferences) };
}

async function answers(clock: Clock, ask: () => Promise<unknown>) {
  try {
    await within(clock, answerLimitMs, ask);
    return { isAnswering: true };
  } catch (error) {
    return { isAnswering: false, message: toAppError(error).message };
  }
}

/** Statuses of loops are anywhere in what components say. */
export function findFailing(status: unknown): { name: string; message: string }[] {
  const found: { name: string; message: string }[] = [];
  const look = (value: unknown) => {
    if (typeof value !== 'object' || value === null) return;
    const { name, failuresInRow, lastError } = value as Partial<LoopStatus>;
    if (name !== undefined && (failuresInRow ?? 0) >= failuresToTell)
      found.push({ name, message: lastError?.message ?? 'it says nothing' });
    for (const part of Object.values(value)) look(part);
  };
  look(status);
  return found.slice(0, maxFailing);
}
