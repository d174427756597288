// What the platform has written down, to compare before and after: the records of apps, without what changes by itself.

import { join } from 'node:path';
import { systemClock } from '#core/clock';
import { silentLog } from '#core/log';
import { systemRandom } from '#core/random';
import { createRemoteStore } from '#layer0/store/client';
import type { Machine } from './machine.ts';

const prefixes = [
  'controller/apps/',
  'controller/app-names/',
  'controller/releases/',
  'controller/deployments/',
  'controller/tokens/',
  'router/routes/',
  'router/route-claims/',
  'router/certificates/',
  'scheduler/formations/',
];

/** Every record of people's by its key. */
export async function storeSnapshot(machine: Machine): Promise<Record<string, unknown>> {
  const store = createRemoteStore({
    baseUrl: `unix:${join(machine.root, 'var/lib/gantry/run/host.sock')}`,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  const found: Record<string, unknown> = {};
  try {
    for (const prefix of prefixes)
      for (const { key, value } of (await store.list(prefix)).entries) found[key] = value;
  } finally {
    await store.close();
  }
  return found;
}
