// The story of a daemon that is replaced with nobody at the machine: the daemon of before starts this in a container of the
// new image, which outlives it. Why it was put back is left in a file for the daemon that runs again. Killed anywhere, the
// engine starts it again and it goes on.

import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '#core/errors';
import type { Log } from '#core/log';
import { type Outcome, outcomeFile, type Wanted } from '#layer0/upgrade/client';
import {
  dnsPlan,
  engineMount,
  ensureContainer,
  hostPlan,
  openEngine,
  replaceName,
} from './containers.ts';
import { bootstrapErrors } from './errors.ts';
import { readMachine } from './machine-file.ts';
import { waitForDaemon, waitForRunning } from './wait.ts';

export async function replaceDaemon(home: string, wanted: Wanted, log: Log): Promise<void> {
  const machine = await readMachine(home);
  if (!machine) throw bootstrapErrors.mixed(`${home} holds no host.json`);
  const engine = openEngine(machine, engineMount);
  const { tag, version } = wanted;
  try {
    await ensureContainer(engine, hostPlan(machine, tag, version), () =>
      waitForDaemon(engine, machine, version),
    );
    await rm(join(home, outcomeFile), { force: true });
    const dns = dnsPlan(machine, tag);
    await ensureContainer(engine, dns, () => waitForRunning(engine, dns.name));
    log.info({ version }, 'the host daemon and DNS are replaced');
  } catch (error) {
    // Anything else is the engine's: another life of this container tries again.
    if (!hasCode(error, 'bootstrap.command')) throw error;
    log.warn({ version, err: error }, 'the host daemon was put back');
    await leave(home, { upgrade: wanted.id, failure: (error as Error).message });
  }
  await engine.remove(replaceName);
}

async function leave(home: string, outcome: Outcome): Promise<void> {
  const path = join(home, outcomeFile);
  await writeFile(`${path}.part`, `${JSON.stringify(outcome)}\n`);
  await rename(`${path}.part`, path);
}
