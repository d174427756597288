// Three machines under traffic, for whatever happens to them: who is where, which requests failed, and when all is well again.

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
export const replacedMs = 120_000;
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
