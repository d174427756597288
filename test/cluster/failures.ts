// What happens to machines, and what must be so meanwhile and afterwards. Each function makes one thing happen to a cluster under
// traffic, undoes it, and throws when something that must hold did not. test/zy-failures.test.ts runs few, `npm run soak` many.

import assert from 'node:assert/strict';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobView } from '#layer1/controller/client';
import { Bed } from './bed.ts';
import { leftovers } from './leftovers.ts';
import { LoadApp } from './load-app.ts';
import type { Machine } from './machine.ts';
import { boundMs, Traffic } from './traffic.ts';
import { waitFor } from './wait.ts';

/** Of the app under traffic: so many on each machine. */
const perMachine = 2;
/** A hang limit: the lease of a machine, the grace, and the start of what it had. */
const replacedMs = 120_000;
/** Past lease and grace: whoever was to be given up has been. */
const longAwayMs = 20_000;

/** Requests that a failed assertion shows. */
const mostShown = 5;

/** Three machines, an app on all of them, and traffic at each. */
export class Trial {
  readonly bed: Bed;
  readonly app: LoadApp;
  readonly traffic: Traffic;
  /** Else the first machine has the store. */
  readonly isOnEtcd: boolean;
  /** Seconds, by what was measured: the longest since they were last taken. */
  #figures = new Map<string, number>();

  private constructor(bed: Bed, app: LoadApp, isOnEtcd: boolean) {
    this.bed = bed;
    this.app = app;
    this.isOnEtcd = isOnEtcd;
    this.traffic = new Traffic(bed.machines, app.name);
  }

  static async begin(name: string): Promise<Trial> {
    const bed = await Bed.of(3);
    await bed.untilAllUp();
    // How fast images travel is another question, and a controller takes names of images for those of its own machine.
    await Promise.all(bed.machines.map((machine) => handOver(bed.platform.machine, machine)));
    const app = await LoadApp.create(bed.platform, name, bed.machines.length * perMachine);
    const { engine } = await app.api.readStore();
    const trial = new Trial(bed, app, engine === 'etcd');
    await trial.untilSettled();
    await waitFor('the traffic to be on', () => trial.traffic.requests > 100);
    return trial;
  }

  async end(): Promise<void> {
    await this.traffic.stop();
    await this.app.close();
  }

  /** Whatever was taken from a machine it has again, and the app is as big as it was: for what a failed round left. */
  async repair(): Promise<void> {
    for (const machine of this.bed.machines) {
      await machine.heal();
      if (!machine.isOn) await machine.boot();
      await machine.thaw();
      await machine.freeDisk();
      await machine.mendClock();
    }
    for (const one of this.bed.machines)
      for (const other of this.others(one)) {
        const cut = `PREROUTING -s ${other.address} -j DROP`;
        await one.sh(`while iptables -t raw -D ${cut} 2>/dev/null; do :; done`);
      }
    await this.bed.untilAllUp(replacedMs);
    await this.app.api.scale(this.app.name, { web: this.wanted });
  }

  get first(): Machine {
    return this.bed.platform.machine;
  }

  get wanted(): number {
    return this.bed.machines.length * perMachine;
  }

  others(machine: Machine): Machine[] {
    return this.bed.machines.filter((other) => other !== machine);
  }

  /** Ids of the app's running containers on a machine; asks its engine, hence also while the API is away. */
  async containers(machine: Machine): Promise<string[]> {
    const list = `docker ps -q --no-trunc --filter label=gantry.app-name=${this.app.name}`;
    return (await machine.must(list)).split('\n').filter(Boolean).sort();
  }

  async containersOn(machines: readonly Machine[]): Promise<string[]> {
    return (await Promise.all(machines.map((machine) => this.containers(machine)))).flat().sort();
  }

  async untilReplaced(survivors: readonly Machine[], sinceMs: number): Promise<void> {
    let seen = 0;
    const isBack = async () => {
      seen = (await this.containersOn(survivors)).length;
      return seen >= this.wanted;
    };
    const options = { timeoutMs: replacedMs, everyMs: 250, seen: () => seen };
    await waitFor(`${this.wanted} replicas on the machines that are left`, isBack, options);
    this.measured('replicas back', sinceMs, performance.now());
  }

  /** Not only its daemon is missed: the others say that its kernel does not answer them. */
  async untilUnheard(machine: Machine): Promise<void> {
    const id = this.bed.hostId(machine);
    const isUnheard = async () => {
      const host = (await this.app.api.listHosts()).find((one) => one.id === id);
      return /does not answer/.test(host?.reason ?? '');
    };
    await waitFor('the others to miss the machine', isUnheard, { timeoutMs: replacedMs });
  }

  /** Every machine is seen, every instance is healthy, none is too many, and nothing is left of what was. */
  async untilSettled(): Promise<void> {
    await this.bed.untilAllUp(replacedMs);
    let seen: unknown;
    const look = async () => {
      const jobs = await this.jobs();
      const bad = jobs.filter(({ state, isHealthy }) => state !== 'up' || !isHealthy);
      const running = (await this.containersOn(this.bed.machines)).length;
      const left = await leftovers(this.bed);
      seen = { jobs: jobs.length, bad, running, left };
      return (
        jobs.length === this.wanted && running === this.wanted && bad.length + left.length === 0
      );
    };
    // Who does not answer yet is asked again.
    const isSettled = () =>
      look().catch((error: Error) => {
        seen = error.message;
        return false;
      });
    const options = { timeoutMs: replacedMs, everyMs: 500, seen: () => seen };
    await waitFor('all to be as it was before', isSettled, options);
  }

  /** As many on each machine as on every other one: what was moved stays where it is by itself. */
  async spread(): Promise<void> {
    const each = await Promise.all(this.bed.machines.map((one) => this.containers(one)));
    if (each.every(({ length }) => length === perMachine)) return;
    await this.app.api.scale(this.app.name, { web: 0 });
    // A machine whose jobs still stop gets none of the new ones.
    const areGone = async () => (await this.jobs().catch(() => undefined))?.length === 0;
    await waitFor('the app to be gone', areGone, { timeoutMs: replacedMs });
    await this.app.api.scale(this.app.name, { web: this.wanted });
    await this.untilSettled();
  }

  /** Those that are wanted, as `gantry ps` has them. */
  async jobs(): Promise<JobView[]> {
    const jobs = await this.bed.platform.gantryJson<JobView[]>('ps', '-a', this.app.name);
    return jobs.filter(({ state }) => state !== 'down');
  }

  /** Who is where, in which attempt: a job that was moved or started again changes it. */
  async places(): Promise<string[]> {
    return (await this.jobs()).map(({ id, host, attempt }) => `${id} ${host} ${attempt}`).sort();
  }

  /** What happened at `sinceMs` may hurt only requests that began soon after it. */
  assertBound(machines: readonly Machine[], sinceMs: number, untilMs = Infinity): void {
    const lastMs = this.traffic.lastFailedMs(machines, sinceMs, untilMs);
    if (lastMs > 0) this.measured('last failed request', sinceMs, sinceMs + lastMs);
    this.assertNoneFailed(machines, sinceMs + boundMs, untilMs);
  }

  takeFigures(): ReadonlyMap<string, number> {
    const taken = this.#figures;
    this.#figures = new Map();
    return taken;
  }

  measured(what: string, sinceMs: number, untilMs: number): void {
    const seconds = (untilMs - sinceMs) / 1000;
    this.#figures.set(what, Math.max(this.#figures.get(what) ?? 0, seconds));
  }

  assertNoneFailed(machines: readonly Machine[], sinceMs: number, untilMs = Infinity): void {
    const failed = this.traffic.failed(machines, sinceMs, untilMs);
    assert.deepEqual(failed.slice(0, mostShown), [], `${failed.length} requests failed`);
  }
}

const image = 'gantry/stack:latest';

async function handOver(from: Machine, to: Machine): Promise<void> {
  const id = (await from.must(`docker image inspect -f '{{.Id}}' ${image}`)).trim();
  const has = await to.sh(`docker image inspect ${id} && docker tag ${id} ${image}`);
  if (has.code === 0) return;
  const archive = join(from.root, 'var/tmp', `${to.name}.tar`);
  await from.must(`docker save -o /var/tmp/${to.name}.tar ${image}`);
  await cp(archive, join(to.root, 'var/tmp/image.tar'));
  await rm(archive);
  await to.must('docker load -q -i /var/tmp/image.tar; rm /var/tmp/image.tar');
}

/** A machine without the store goes for long: what it had is replaced, and when it is back nothing is double. */
export async function losesMachine(
  trial: Trial,
  victim: Machine,
  how: 'power' | 'cable',
): Promise<void> {
  const survivors = trial.others(victim);
  const beganMs = performance.now();
  await (how === 'power' ? victim.dropDead() : victim.cut());
  try {
    await trial.untilReplaced(survivors, beganMs);
    if (victim !== trial.first) await trial.untilUnheard(victim);
    trial.assertBound(survivors, beganMs);
  } finally {
    await victim.heal();
    if (how === 'power') await victim.boot();
  }
  await trial.untilSettled();
  trial.assertBound(survivors, beganMs);
}

/**
 * The machine with the embedded store loses its power, alone or with another one, or any two do where the store is on etcd: nothing is
 * decided, all that runs on the machines that are left runs on and is routed to.
 */
export async function losesStore(trial: Trial, lost: readonly Machine[]): Promise<void> {
  const survivors = trial.bed.machines.filter((machine) => !lost.includes(machine));
  const before = await trial.containersOn(survivors);
  const beganMs = performance.now();
  await Promise.all(lost.map((machine) => machine.powerOff()));
  try {
    await during(longAwayMs);
    assert.deepEqual(await trial.containersOn(survivors), before);
    trial.assertBound(survivors, beganMs);
    const [survivor] = survivors;
    const [container] = survivor ? await trial.containers(survivor) : [];
    await survivor?.must(`docker kill ${container}`);
    const killedMs = performance.now();
    const isBack = async () => (await trial.containersOn(survivors)).length === before.length;
    await waitFor('what ended to be started again without a store', isBack);
    trial.assertBound(survivors, killedMs);
  } finally {
    await Promise.all(lost.map((machine) => machine.boot()));
  }
  await trial.untilSettled();
  const now = await trial.containersOn(survivors);
  const kept = before.filter((id) => now.includes(id));
  assert.equal(kept.length, before.length - 1, 'only what was killed was started again');
}

/** The store host's cable is out: it goes on deciding for itself, the others go on as they are. */
export async function losesStoreHostCable(trial: Trial): Promise<void> {
  const survivors = trial.others(trial.first);
  const beganMs = performance.now();
  await trial.first.cut();
  try {
    await during(longAwayMs);
    trial.assertBound(survivors, beganMs);
  } finally {
    await trial.first.heal();
  }
  const healedMs = performance.now();
  await trial.untilSettled();
  trial.assertBound(trial.bed.machines, healedMs);
}

/** Two machines do not hear each other, and both hear the one with the store: nobody is given up. */
export async function losesLink(trial: Trial, one: Machine, other: Machine): Promise<void> {
  const before = await trial.places();
  const beganMs = performance.now();
  await one.cutFrom(other);
  let endedMs = beganMs;
  try {
    await during(longAwayMs);
  } finally {
    endedMs = performance.now();
    await one.healFrom(other);
  }
  const healedMs = performance.now();
  await trial.untilSettled();
  trial.assertBound(trial.bed.machines, beganMs, endedMs);
  trial.assertBound(trial.bed.machines, healedMs);
  assert.deepEqual(await trial.places(), before);
}

/** The daemon of a machine stands still for so long that the machine is given up: no request fails at all. */
export async function losesDaemon(trial: Trial, victim: Machine): Promise<void> {
  const beganMs = performance.now();
  await victim.freeze({ container: 'gantry-host' });
  try {
    if (victim === trial.first && !trial.isOnEtcd) await during(longAwayMs);
    else await trial.untilReplaced(trial.others(victim), beganMs);
  } finally {
    await victim.thaw();
  }
  await trial.untilSettled();
  trial.assertNoneFailed(trial.bed.machines, beganMs);
}

/** Short pauses of daemons and cables, one after the other: not one job is moved or started again. */
export async function pauses(trial: Trial, count: number): Promise<void> {
  const before = await trial.places();
  const kinds = trial.bed.machines.flatMap((machine) => [
    { stop: () => machine.freeze({ container: 'gantry-host' }), go: () => machine.thaw() },
    { stop: () => machine.cut(), go: () => machine.heal() },
  ]);
  for (let pause = 0; pause < count; pause++) {
    const kind = kinds[pause % kinds.length];
    await kind?.stop();
    try {
      await during(3_000);
    } finally {
      await kind?.go();
    }
    await trial.bed.untilAllUp();
  }
  // Whoever is given up, is within this.
  await during(longAwayMs);
  await trial.untilSettled();
  assert.deepEqual(await trial.places(), before);
}

/** All power is gone and comes back in this order, the last one late: everything is there without a person. */
export async function losesAll(trial: Trial, order: readonly Machine[]): Promise<void> {
  await Promise.all(order.map((machine) => machine.powerOff()));
  const [late, ...early] = order.toReversed();
  for (const machine of early.reverse()) await machine.boot();
  const earlyMs = performance.now();
  if (late !== trial.first) await trial.bed.platform.untilAnswers(trial.app.name);
  if (late !== trial.first || trial.isOnEtcd) await trial.untilReplaced(early, earlyMs);
  await late?.boot();
  const lateMs = performance.now();
  await trial.untilSettled();
  trial.measured('all back', lateMs, performance.now());
  for (const machine of order) await untilAnswersAt(trial, machine);
  const backMs = performance.now();
  const { requests } = trial.traffic;
  await waitFor('the traffic to go on', () => trial.traffic.requests > requests + 500);
  trial.assertNoneFailed(order, backMs);
}

/** A machine whose disk is full: what it runs goes on, what it is given waits and says why, others are unharmed. */
export async function fillsDisk(trial: Trial, victim: Machine): Promise<void> {
  await limps(trial, victim, {
    hurt: () => victim.fillDisk(),
    mend: () => victim.freeDisk(),
    says: /disk/,
  });
}

/** A machine whose engine hangs: the same. */
export async function hangsEngine(trial: Trial, victim: Machine): Promise<void> {
  await limps(trial, victim, {
    hurt: () => victim.freeze('dockerd'),
    mend: () => victim.thaw(),
    says: /engine|Docker/,
  });
}

/** A machine whose clock is wrong: it is said, what runs there runs on, and what is wanted of it is done like everywhere. */
export async function hasWrongClock(trial: Trial, victim: Machine, seconds: number): Promise<void> {
  const beganMs = performance.now();
  let killedMs = beganMs;
  await victim.setClock(seconds);
  try {
    // To the nearest ten seconds.
    const about = `${Math.abs(seconds) / 10 - 1}\\d|${Math.abs(seconds) / 10}\\d`;
    const says = new RegExp(`its clock is (${about})\\.\\d s ${seconds > 0 ? 'ahead' : 'behind'}`);
    await untilDoctorSays(trial, victim, says);
    // Its daemon was started anew with that clock, which may take longer than its lease where all is busy.
    await trial.untilSettled();
    const before = await trial.places();
    await during(longAwayMs);
    assert.deepEqual(await trial.places(), before);
    trial.assertNoneFailed(trial.bed.machines, beganMs);
    const { id } = await trial.app.setEnv('CLOCK', String(seconds));
    const { state, reason } = await trial.app.untilEnded(id);
    assert.equal(state, 'complete', reason);
    trial.assertNoneFailed(trial.bed.machines, beganMs);
    const [container] = await trial.containers(victim);
    await victim.must(`docker kill ${container}`);
    killedMs = performance.now();
    await trial.untilSettled();
  } finally {
    await victim.mendClock();
  }
  await trial.untilSettled();
  trial.assertBound(trial.bed.machines, killedMs);
}

interface Ailment {
  hurt(): Promise<void>;
  mend(): Promise<void>;
  /** What `gantry doctor` says of it beside the name of the machine. */
  says: RegExp;
}

async function limps(trial: Trial, victim: Machine, { hurt, mend, says }: Ailment): Promise<void> {
  const beganMs = performance.now();
  const more = trial.wanted + trial.bed.machines.length;
  await hurt();
  try {
    await untilDoctorSays(trial, victim, says);
    await trial.app.api.scale(trial.app.name, { web: more });
    await untilGivenTo(trial, victim);
  } finally {
    await mend();
  }
  const areUp = async () => {
    const jobs = await trial.jobs().catch(() => []);
    return jobs.filter(({ state }) => state === 'up').length === more;
  };
  const options = { timeoutMs: replacedMs, everyMs: 500 };
  await waitFor('what waited to start by itself', areUp, options);
  await trial.app.api.scale(trial.app.name, { web: trial.wanted });
  await trial.untilSettled();
  trial.assertNoneFailed(trial.bed.machines, beganMs);
}

/** The other machines have started their part of what is wanted more; the victim's waits with a reason, or is nobody's yet. */
async function untilGivenTo(trial: Trial, victim: Machine): Promise<void> {
  let seen: unknown;
  const host = trial.bed.hostId(victim);
  const isSaid = async () => {
    const jobs = await trial.jobs().catch((error: Error) => {
      seen = error.message;
      return undefined;
    });
    if (!jobs) return false;
    seen = jobs;
    const waiting = jobs.filter(({ state }) => state !== 'up');
    const elsewhere = waiting.filter((job) => job.host !== undefined && job.host !== host);
    return elsewhere.length === 0 && waiting.every(({ reason }) => reason !== undefined);
  };
  const options = { timeoutMs: replacedMs, everyMs: 500, seen: () => seen };
  await waitFor('the others to start their part', isSaid, options);
}

async function untilDoctorSays(trial: Trial, victim: Machine, says: RegExp): Promise<void> {
  let seen = '';
  const isSaid = async () => {
    seen = (await trial.bed.platform.tryGantry('doctor')).stdout;
    return seen.split('\n').some((line) => line.includes(victim.name) && says.test(line));
  };
  const options = { timeoutMs: replacedMs, everyMs: 500, seen: () => seen };
  await waitFor(`gantry doctor to name ${victim.name} with ${says}`, isSaid, options);
}

/** The app answers at a machine's own router. */
async function untilAnswersAt(trial: Trial, machine: Machine): Promise<void> {
  const curl = `curl -s -m 5 -o /dev/null -w '%{http_code}' -H 'Host: ${trial.app.name}.gantry.localhost'`;
  const answers = async () => (await machine.sh(`${curl} http://127.0.0.1/`)).stdout === '200';
  await waitFor(`${trial.app.name} to answer at ${machine.name}`, answers);
}

/** The length of a failure is what it is about: nothing is waited for. */
function during(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
