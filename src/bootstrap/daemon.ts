// The two containers of this machine, running and of this version.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { dnsPlan, ensureContainer, hostPlan, openEngine } from './containers.ts';
import type { Machine } from './machine-file.ts';
import { waitForDaemon, waitForRunning } from './wait.ts';

/** Says whether the daemon was replaced or started. */
export async function runContainers(
  machine: Machine,
  image: string,
  version: string,
): Promise<boolean> {
  const folders = ['run', 'dns', 'proxy', 'logs', 'volumes'];
  for (const folder of machine.storeHost === undefined ? [...folders, 'store'] : folders)
    await mkdir(join(machine.home, folder), { recursive: true, mode: 0o750 });
  const engine = openEngine(machine);
  try {
    const isUp = () => waitForDaemon(engine, machine, version);
    const isChanged = await ensureContainer(engine, hostPlan(machine, image, version), isUp);
    const dns = dnsPlan(machine, image);
    await ensureContainer(engine, dns, () => waitForRunning(engine, dns.name));
    return isChanged;
  } finally {
    engine.close();
  }
}
