// What of layer 0 is no longer needed by anyone? All that a deleted app leaves on this machine, images that nothing names.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#core/clock';
import { hasCode } from '#core/errors';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop } from '#core/reconcile';
import type { Images } from '#layer0/images/index';
import type { Network } from '#layer0/network/client';
import { type Formation, formationPrefix, type Job, jobPrefix } from '#layer0/scheduler/wire';
import type { Store } from '#layer0/store/client';
import { collectEveryMs } from './config.ts';

/** Whoever owns an app writes the first when the app is gone, and one of the second for each image to keep. */
export const networkTombstonePrefix = 'network/tombstones/';
export const keptImagePrefix = 'images/kept/';

/** The part of the container engine that is needed here; the host's runtime has it. */
export interface Containers {
  list(labels: Record<string, string>): Promise<{ id: string; state: string }[]>;
  remove(id: string): Promise<void>;
}

export interface HousekeepingDeps {
  store: Store;
  network: Network;
  images: Images;
  containers: Containers;
  clock: Clock;
  random: Random;
  log: Log;
}

/** Nothing else is ever joined to a path that is removed. */
const appIdPattern = /^app-[0-9a-z]+$/;
/** How often tombstones are looked at when nothing tells of one. */
const appResyncMs = 10_000;

/** What a deleted app leaves: network, volumes, dead containers, images. The tombstone goes last: a crash begins again. */
export function createAppCollector(deps: HousekeepingDeps, volumes: string): Loop {
  const { store, network, images, clock, random, log } = deps;
  return createLoop({
    name: 'collect-apps',
    resyncMs: appResyncMs,
    clock,
    random,
    log,
    async run() {
      const tombstones = await store.list(networkTombstonePrefix);
      for (const { key } of tombstones.entries) {
        const app = key.slice(networkTombstonePrefix.length);
        let isForgotten: boolean;
        try {
          isForgotten = await network.removeAppNetwork(app);
        } catch (error) {
          // Its last container is still going: the next pass comes back to it.
          if (hasCode(error, 'network.inUse') || hasCode(error, 'engine.conflict')) continue;
          throw error;
        }
        if (!appIdPattern.test(app)) continue;
        await rm(join(volumes, app), { recursive: true, force: true });
        await removeContainers(deps, app);
        await images.collectOf(app, await neededImages(store, app));
        // Each machine has a part of its own to clear: the last one that does is told by the network.
        if (isForgotten) await store.txn({ compare: [], operations: [{ delete: key }] });
      }
    },
  });
}

/** Nobody will ask for their logs any more. One that runs still has its job, and goes with that. */
async function removeContainers({ containers }: HousekeepingDeps, app: string): Promise<void> {
  for (const { id, state } of await containers.list({ 'gantry.app': app }))
    if (state !== 'running') await containers.remove(id);
}

export function createImageCollector({
  store,
  images,
  clock,
  random,
  log,
}: HousekeepingDeps): Loop {
  return createLoop({
    name: 'collect-images',
    resyncMs: collectEveryMs,
    clock,
    random,
    log,
    async run() {
      const gone = await images.collect(await neededImages(store));
      if (gone.length > 0) log.info({ images: gone }, 'removed images that nothing names');
    },
  });
}

/** An image whose name is not read is an image lost: any failed read ends the pass before anything is removed. */
export async function neededImages(store: Store, goneApp?: string): Promise<Set<string>> {
  const isGone = ({ app }: Job) => goneApp !== undefined && app === goneApp;
  const [kept, jobs, formations] = await Promise.all([
    store.list(keptImagePrefix),
    store.list<Job>(jobPrefix),
    store.list<Formation>(formationPrefix),
  ]);
  return new Set([
    ...kept.entries.map(({ key }) => key.slice(keptImagePrefix.length)),
    // One-offs of an app that is gone have ended, and are remembered for a while.
    ...jobs.entries.flatMap(({ value }) => (isGone(value) ? [] : [value.spec.image])),
    ...formations.entries.flatMap(({ value }) =>
      Object.values(value.processes).map(({ spec }) => spec.image),
    ),
  ]);
}
