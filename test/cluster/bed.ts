// The machines of a test of several: the first is the run's platform, further ones join it and stay for the next test file,
// since joining costs half a minute. A file asks for as many as it needs and gets machines that are members, on, and whole.

import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostView } from '#layer1/controller/client';
import { Machine, machinesFolder, type Output } from './machine.ts';
import { checkout, Platform, theMachine } from './platform.ts';
import { waitFor } from './wait.ts';

/** Machines beside the first have its number and one more digit. */
const mostFurther = 9;
/** Room for the engine's images and then some; a file takes only what is written. */
const diskMegabytes = 12_000;
const joinTimeoutMs = 600_000;
/** How long a kept machine may take until the cluster sees it again. */
const settleMs = 30_000;
/** System processes that every machine runs. */
const everywhere = ['proxy', 'router', 'logs'];

export class Bed {
  readonly platform: Platform;
  /** The first one first. */
  readonly machines: readonly Machine[];

  private constructor(platform: Platform, further: readonly Machine[]) {
    this.platform = platform;
    this.machines = [platform.machine, ...further];
  }

  /** A cluster of exactly so many machines. A file undoes what it does; a machine that it left broken is replaced. */
  static async of(count: number): Promise<Bed> {
    const platform = Platform.connect();
    await untilApiAnswers(platform);
    const kept: Machine[] = [];
    for (const machine of await keptMachines()) {
      if (kept.length < count - 1 && (await isUsable(platform, machine))) kept.push(machine);
      else await machine.destroy();
    }
    // One that was destroyed may have had the controller.
    await untilApiAnswers(platform);
    await forgetOthers(platform, kept);
    const made: Machine[] = [];
    while (kept.length + made.length < count - 1) made.push(await Bed.spare());
    await Promise.all(made.map((machine) => joinCluster(platform, machine)));
    return new Bed(platform, [...kept, ...made]);
  }

  /** A machine that is on and belongs to no cluster; once it has joined, the next `of` counts it. */
  static async spare({ isBare = false } = {}): Promise<Machine> {
    const taken = new Set((await keptMachines()).map(({ name }) => name));
    const machine = possible().find(({ name }) => !taken.has(name));
    if (!machine) throw new Error(`there are ${mostFurther} further machines already`);
    await machine.create(isBare ? {} : { like: theMachine() });
    await machine.powerOn();
    await machine.copyProject(checkout);
    return machine;
  }

  /** The machines of the cluster as it lists them. */
  hosts(): Promise<HostView[]> {
    return this.platform.gantryJson<HostView[]>('host', 'list');
  }

  /** As `gantry ps` and `gantry host list` call it. */
  hostId(machine: Machine): string {
    const id = hostIdOf(machine);
    if (id === undefined) throw new Error(`${machine.name} is in no cluster`);
    return id;
  }

  /** Waits until the cluster sees every machine. */
  async untilAllUp(timeoutMs = 120_000): Promise<void> {
    let seen: unknown;
    const areUp = async () => {
      const hosts = await this.hosts().catch((error: Error) => {
        seen = error.message;
        return [];
      });
      if (hosts.length > 0) seen = hosts.map(({ name, state }) => `${name}: ${state}`);
      const up = new Set(hosts.filter(({ state }) => state === 'up').map(({ id }) => id));
      return this.machines.every((machine) => up.has(this.hostId(machine)));
    };
    await waitFor('every machine to be up', areUp, { timeoutMs, everyMs: 200, seen: () => seen });
  }
}

/** `gantry` on a machine that is not the first one, at its own router, with the first one's token. */
export function gantryAt(machine: Machine): (command: string) => Promise<Output> {
  const path = join(theMachine().root, 'root/.config/gantry/config.json');
  const { current, clusters } = JSON.parse(readFileSync(path, 'utf8')) as {
    current: string;
    clusters: Record<string, { token: string }>;
  };
  const token = clusters[current]?.token ?? '';
  const env = { GANTRY_URL: 'http://api.gantry.localhost', GANTRY_TOKEN: token };
  return (command) => machine.sh(`gantry ${command}`, { env });
}

/** Joins by the one command that a person would type, and waits until it runs what every machine runs. */
export async function joinCluster(platform: Platform, machine: Machine): Promise<void> {
  const token = (await platform.gantry('host', 'join-token')).trim();
  await machine.must(`cd ${checkout} && script/up --join '${token}'`, { timeoutMs: joinTimeoutMs });
  await untilServes(machine);
}

/** Waits until the system processes of every machine run on this one. */
export async function untilServes(machine: Machine): Promise<void> {
  let seen = '';
  const runs = async () => {
    seen = (await machine.sh(`docker ps --format '{{.Names}}'`)).stdout;
    return everywhere.every((type) => seen.includes(`-gantry-${type}-`));
  };
  const what = `${everywhere.join(', ')} to run on ${machine.name}`;
  await waitFor(what, runs, { timeoutMs: 120_000, everyMs: 200, seen: () => seen });
}

/** At the end of a run. */
export async function destroyFurther(): Promise<void> {
  for (const machine of await keptMachines()) await machine.destroy();
}

/** Every machine that there may be beside the first. */
function possible(): Machine[] {
  const { options } = theMachine();
  const numbers = Array.from(
    { length: mostFurther },
    (_, place) => options.number * 10 + 1 + place,
  );
  return numbers.map((number) => new Machine({ ...options, number, diskMegabytes }));
}

/** All that have a folder, on or off. */
export async function keptMachines(): Promise<Machine[]> {
  const folders = new Set(await readdir(machinesFolder).catch(() => []));
  return possible().filter(({ name }) => folders.has(name));
}

function hostIdOf(machine: Machine): string | undefined {
  try {
    const file = join(machine.root, 'var/lib/gantry/host.json');
    return (JSON.parse(readFileSync(file, 'utf8')) as { hostId: string }).hostId;
  } catch {
    return undefined;
  }
}

async function untilApiAnswers(platform: Platform): Promise<void> {
  let seen = '';
  const answers = async () => {
    const { code, stderr } = await platform.tryGantry('host', 'list');
    seen = stderr;
    return code === 0;
  };
  await waitFor('the API to answer', answers, {
    timeoutMs: 120_000,
    everyMs: 200,
    seen: () => seen,
  });
}

/** On, seen by the cluster, and of the version that the first one runs. */
async function isUsable(platform: Platform, machine: Machine): Promise<boolean> {
  const id = hostIdOf(machine);
  if (!machine.isOn || id === undefined) return false;
  const end = performance.now() + settleMs;
  for (;;) {
    const hosts = await platform.gantryJson<HostView[]>('host', 'list');
    const [host, first] = [id, hostIdOf(platform.machine)].map((one) =>
      hosts.find((known) => known.id === one),
    );
    if (!host || host.version !== first?.version) return false;
    if (host.state === 'up' && (await machine.sh('docker ps', { timeoutMs: 10_000 })).code === 0)
      return untilServes(machine).then(() => true);
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Takes what the cluster remembers of machines that are none of the bed's any more out of it. */
async function forgetOthers(platform: Platform, kept: readonly Machine[]): Promise<void> {
  const stay = new Set([platform.machine, ...kept].map(hostIdOf));
  const hosts = await platform.gantryJson<HostView[]>('host', 'list');
  const gone = hosts.filter(({ id }) => !stay.has(id));
  for (const { id } of gone) await platform.gantry('host', 'remove', id, '--force');
}
