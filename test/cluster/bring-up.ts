// The first machine of a run: bare, then `script/up` on it as a stranger would. And the end of all machines of a run.

import { rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { destroyFurther } from './bed.ts';
import { Machine, machinesFolder, removeUnderlay } from './machine.ts';
import { checkout, theMachine } from './platform.ts';

const project = join(import.meta.dirname, '../..');

/** Brings it to this checkout's version; makes it when there is none, or with `isFresh`. Shows what script/up says. */
export async function bringUp({ isFresh = false } = {}): Promise<void> {
  const machine = theMachine();
  if (!machine.isOn || isFresh) {
    // They are members of a cluster that ends here.
    await destroyFurther();
    await machine.create();
    await machine.powerOn();
  }
  await machine.copyProject(checkout);
  const up = await machine.sh(`cd ${checkout} && script/up`, { timeoutMs: 900_000, isShown: true });
  await writeFile(join(project, '.tmp', `up-${machine.name}.log`), up.stdout + up.stderr);
  if (up.code !== 0) throw new Error(`script/up failed on the bare machine: exit ${up.code}`);
}

/** Every machine, and what was made between them. */
export async function destroyAll(): Promise<void> {
  await destroyFurther();
  await theMachine().destroy();
  await removeUnderlay();
  // Machines of another checkout may be in it.
  await rmdir(machinesFolder).catch(() => undefined);
}

/** With the kept platform, or with one that is made for this and gone afterwards, also when somebody interrupts it. */
export async function withPlatform<T>(work: () => Promise<T>): Promise<T> {
  if (theMachine().isOn) return work();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      Machine.areEnding = true;
      // What was under way may have begun to make another one by then.
      void destroyAll()
        .then(destroyAll)
        .finally(() => process.exit(130));
    });
  try {
    await bringUp();
    return await work();
  } finally {
    await destroyAll();
  }
}
