// Starts the container that replaces this very daemon: of the new image, with the daemon's own folders. It outlives the daemon,
// starts again by itself until it is done, and then removes itself.

import type { Component } from '#core/component';
import type { Ha } from '#layer0/ha/index';
import { createOwnContainers, type OwnContainers } from '#layer0/host/index';
import type { Images } from '#layer0/images/index';
import type { Store } from '#layer0/store/client';
import type { Wanted } from '#layer0/upgrade/client';
import { createUpgrade } from '#layer0/upgrade/index';
import { holdPlace } from './hold-place.ts';
import type { DaemonConfig, DaemonDeps } from './index.ts';

const hostName = 'gantry-host';
const replaceName = 'gantry-replace';

/** Brings this machine's daemon to the version that is wanted, when it is its turn. */
export function createDaemonUpgrade(
  { clock, random, log }: DaemonDeps,
  config: DaemonConfig,
  { store, images, ha }: { store: Store; images: Images; ha: Pick<Ha, 'renewal'> },
): Component {
  return createUpgrade(
    {
      store,
      async ensureImage(image, tag) {
        if (!(await images.ensure(image))) return false;
        await images.tag(image, tag);
        return true;
      },
      async startReplacement(wanted) {
        const engine = createOwnContainers({ socketPath: config.engineSocket, clock });
        try {
          await start(engine, { ...config, wanted, hold: () => holdPlace(store, config.hostId) });
        } finally {
          engine.close();
        }
      },
      copy: () => ha.renewal(),
      clock,
      random,
      log: log.child({ part: 'upgrade' }),
    },
    config,
  );
}

interface Asked {
  home: string;
  clusterId: string;
  wanted: Wanted;
  /** Called right before the new daemon takes over. */
  hold(): Promise<void>;
}

async function start(engine: OwnContainers, asked: Asked): Promise<void> {
  const { home, clusterId, wanted } = asked;
  const upgradeLabel = 'gantry.upgrade';
  const seen = await engine.find(replaceName);
  if (seen?.isRunning && seen.labels[upgradeLabel] === wanted.id) return;
  await engine.remove(replaceName);
  const daemon = await engine.find(hostName);
  await engine.create({
    name: replaceName,
    image: wanted.tag,
    command: ['node', 'bin/gantry-replace.ts', home, JSON.stringify(wanted)],
    env: {},
    binds: daemon?.binds ?? [],
    labels: {
      'gantry.platform': clusterId,
      'gantry.role': 'replace',
      [upgradeLabel]: wanted.id,
    },
    // Files of the folder belong to others than root.
    capabilities: ['DAC_OVERRIDE'],
  });
  await asked.hold();
  await engine.start(replaceName);
}
