// Ends singletons of a machine whose lease is over, with neither the store nor the engine nor the daemon: by two kinds of files that
// the daemon leaves in a folder that a reboot empties, and the kernel's own list of processes. Runs in the DNS process.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '#core/clock';
import { hasCode } from '#core/errors';

/** Of the machine, the same in every container that has it. */
export const fenceFolder = '/run/gantry';
/** Holds the uptime of the machine, in milliseconds, until which its singletons may run. */
export const leaseFile = 'lease';
/** A file for each container that is to be ended then, named by its id. */
export const singletonFolder = 'singletons';
/** Between two looks. */
const lookMs = 250;
const containerId = /^[0-9a-f]{64}$/;

export interface FenceDeps {
  clock: Clock;
  log: { warn(facts: object, text: string): void };
  folder?: string;
  /** Where the kernel shows its processes. */
  procFolder?: string;
  kill?(pid: number): void;
}

/** Time that goes on while the machine sleeps, and is the same for all its processes. */
export async function readUptimeMs(procFolder = '/proc'): Promise<number> {
  return Math.round(Number.parseFloat(await readFile(join(procFolder, 'uptime'), 'utf8')) * 1000);
}

export class Fence {
  readonly #deps: Required<FenceDeps>;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(deps: FenceDeps) {
    const kill = (pid: number) => process.kill(pid, 'SIGKILL');
    this.#deps = { folder: fenceFolder, procFolder: '/proc', kill, ...deps };
  }

  start(): void {
    const again = () => {
      if (!this.#isStopped) this.#timer = this.#deps.clock.timer(lookMs, () => this.start());
    };
    void this.look()
      .catch((error: unknown) => this.#deps.log.warn({ err: error }, 'the fence could not look'))
      .then(again);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** One look; answers which processes it ended. */
  async look(): Promise<number[]> {
    const { folder, procFolder, kill, log } = this.#deps;
    const guarded = await listed(join(folder, singletonFolder));
    const ids = guarded.filter((name) => containerId.test(name));
    if (ids.length === 0) return [];
    const untilMs = Number(await readText(join(folder, leaseFile)));
    if ((await readUptimeMs(procFolder)) < untilMs) return [];
    const ended: number[] = [];
    for (const name of await listed(procFolder)) {
      if (!/^\d+$/.test(name)) continue;
      const groups = await readText(join(procFolder, name, 'cgroup'));
      if (!ids.some((id) => groups.includes(id))) continue;
      try {
        kill(Number(name));
        ended.push(Number(name));
      } catch (error) {
        // It ended by itself meanwhile.
        if (!hasCode(error, 'ESRCH')) throw error;
      }
    }
    if (ended.length > 0)
      log.warn(
        { processes: ended },
        'singletons were ended: this machine is not heard of any more',
      );
    return ended;
  }
}

async function listed(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Empty where there is none, and of a process that has ended. */
async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ESRCH')) return '';
    throw error;
  }
}
