// What happens to machines, and what must be so meanwhile and afterwards. Each function makes one thing happen to a cluster under
// traffic, undoes it, and throws when something that must hold did not. test/zy-failures.test.ts runs few, `npm run soak` many.

import assert from 'node:assert/strict';
import type { Machine } from './machine.ts';
import { replacedMs, type Trial } from './trial.ts';
import { waitFor } from './wait.ts';

/** Past lease and grace: whoever was to be given up has been. */
const longAwayMs = 20_000;

/** A machine without the store goes for long: what it had is replaced, and when it is back nothing is double. */
export async function losesMachine(
  trial: Trial,
  victim: Machine,
  how: 'power' | 'cable',
): Promise<void> {
  const survivors = trial.others(victim);
  const beganMs = performance.now();
  await (how === 'power' ? victim.powerOff() : victim.cut());
  try {
    await trial.untilReplaced(survivors, beganMs);
    if (victim !== trial.first) await trial.untilUnheard(victim);
    trial.assertBound(survivors, beganMs);
  } finally {
    await (how === 'power' ? victim.boot() : victim.heal());
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
