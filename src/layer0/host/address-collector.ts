// Gives back addresses that jobs of this machine hold and nobody will free: the record is gone, and no container has it.
// A gift that was long on its way leaves one, and so does a backup that knew of what has ended since.

import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop } from '#core/reconcile';
import type { Network } from '#layer0/network/client';
import { type Job, jobKey } from '#layer0/scheduler/wire';
import type { Mirror } from '#layer0/store/client';
import { addressesEveryMs } from './config.ts';

export interface AddressCollectorDeps {
  network: Pick<Network, 'heldBy' | 'release'>;
  clock: Clock;
  random: Random;
  log: Log;
  /** Job records as this process last saw them; undefined until it also knows what runs. */
  records(): Mirror<Job> | undefined;
  hasRunning(jobId: string): boolean;
}

export function createAddressCollector(deps: AddressCollectorDeps, hostId: string): Loop {
  const { network, clock, random, log } = deps;
  return createLoop({
    name: 'host-addresses',
    resyncMs: addressesEveryMs,
    clock,
    random,
    log,
    async run() {
      for (const { app, job } of network.heldBy(hostId) ?? []) {
        if (isNeeded(deps, job)) continue;
        log.info({ job, app }, 'frees an address that no job has any more');
        await network.release(job);
      }
    },
  });
}

/** Its record came before its address: one that is not in a copy that follows the store is gone. */
function isNeeded({ records, hasRunning }: AddressCollectorDeps, jobId: string): boolean {
  const known = records();
  return !known?.isConnected || known.get(jobKey(jobId)) !== undefined || hasRunning(jobId);
}
