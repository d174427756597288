// Busy people: they create, scale, deploy, roll back and delete apps, kill jobs and run one-off commands.
// What they asked for last is what the store says; nothing is remembered here.

import { toAppError } from '#core/errors';
import { newId } from '#core/ids';
import { createSchedulerClient, type SchedulerClient } from '#layer0/scheduler/client';
import { aFormation, aProcess, aSpec, gigabyte } from '#layer0/scheduler/fake';
import { type Formation, formationPrefix, type Job, jobPrefix } from '#layer0/scheduler/wire';
import { PlatformUsers } from './platform-users.ts';
import type { Simulation } from './simulation.ts';
import { spec } from './workload.ts';

/** Apps whose formations are written by hand, as a stack's owner would. */
const apps = ['mail', 'chat'];
const mostReplicas = 4;

type Process = Formation['processes'][string];

/** More than any machine of the simulation has. */
const hugeSpec = aSpec({
  ...spec,
  resources: { memoryBytes: 100 * gigabyte, cpuMillis: 100, pids: 32 },
});

export class Users {
  readonly #sim: Simulation;
  readonly #platform: PlatformUsers;
  #releases = 0;

  constructor(sim: Simulation) {
    this.#sim = sim;
    this.#platform = new PlatformUsers(sim);
  }

  /** One thing that somebody does; a store that is away is their bad luck. */
  async act(): Promise<void> {
    const deeds = [
      () => this.#platform.deploy(),
      () => this.#platform.deploy(),
      () => this.#platform.deploy(),
      () => this.#platform.rollBack(),
      () => this.#platform.scale(),
      () => this.#platform.remove(),
      () => this.#deploy(),
      () => this.#scale(),
      () => this.#remove(),
      () => this.#killJob(),
      () => this.#runOnce(),
    ];
    const store = this.#sim.house.serving;
    if (!store?.life.isAlive) return;
    try {
      await this.#pick(deeds)?.();
    } catch (error) {
      this.#sim.say(`user: ${toAppError(error).message}`);
    }
  }

  async #deploy(): Promise<void> {
    const name = this.#pick(apps) ?? '';
    const old = this.#ownFormations().filter(({ appName }) => appName === name);
    const version = ++this.#releases;
    const quantity = Math.floor(this.#sim.random() * mostReplicas) + 1;
    const isHuge = this.#sim.random() < 0.05;
    const isOnePerHost = this.#sim.random() < 0.1;
    const rest = { spec: isHuge ? hugeSpec : spec, ...this.#manner(isOnePerHost) };
    const many = rest.isSingleton ? 1 : quantity;
    const how = rest.isSingleton ? ', a singleton' : '';
    this.#sim.say(`user: deploys ${name} v${version} x${many}${how}`);
    const processes = { web: aProcess({ quantity: many, isOnePerHost, ...rest }) };
    const named = { app: `app-${name}`, appName: name, release: `rel-${version}` };
    await this.#client().putFormation(aFormation({ ...named, releaseVersion: version, processes }));
    for (const { app, release } of old) await this.#client().deleteFormation(app, release);
  }

  /** Where there are operators: one at once whatever fails, or as many in each zone. */
  #manner(isOnePerHost: boolean): Pick<Process, 'isSingleton' | 'rules'> {
    if (!this.#sim.isOperated || isOnePerHost) return {};
    const roll = this.#sim.random();
    if (roll < 0.35) return { isSingleton: true };
    return roll < 0.5 ? { rules: { spreadBy: 'zone' } } : {};
  }

  async #scale(): Promise<void> {
    const formation = this.#pick(this.#ownFormations());
    const web = formation?.processes.web;
    if (!formation || !web) return;
    const most = web.isSingleton ? 1 : mostReplicas;
    const quantity = Math.floor(this.#sim.random() * (most + 1));
    this.#sim.say(`user: scales ${formation.appName} to ${quantity}`);
    await this.#client().putFormation({ ...formation, processes: { web: { ...web, quantity } } });
  }

  async #remove(): Promise<void> {
    const formation = this.#pick(this.#ownFormations());
    if (!formation) return;
    this.#sim.say(`user: deletes ${formation.appName} v${formation.releaseVersion}`);
    await this.#client().deleteFormation(formation.app, formation.release);
  }

  async #killJob(): Promise<void> {
    const job = this.#pick(this.#jobs());
    if (!job) return;
    this.#sim.say(`user: kills ${job.id}`);
    await this.#client().stopJob(job.id);
  }

  async #runOnce(): Promise<void> {
    const name = this.#pick(apps) ?? '';
    this.#sim.say(`user: runs a command of ${name}`);
    await this.#client().runEphemeral({
      app: `app-${name}`,
      appName: name,
      release: 'rel-0',
      releaseVersion: 0,
      type: 'run',
      spec: { ...spec, restart: 'never', ports: [], health: { ...spec.health, type: 'none' } },
    });
  }

  #client(): SchedulerClient {
    const { house, clock, random } = this.#sim;
    if (!house.serving) throw new Error('nobody asks a store that was never there');
    const newJobId = () =>
      newId(
        'job',
        Uint8Array.from({ length: 16 }, () => random() * 256),
      );
    return createSchedulerClient({ store: house.serving.store, clock, newJobId });
  }

  /** Not those of the platform: they have an owner already. */
  #ownFormations(): Formation[] {
    const entries = this.#sim.ledger.readRange({ prefix: formationPrefix });
    const formations = entries.map(({ value }) => value as Formation);
    return formations.filter(({ appName }) => apps.includes(appName));
  }

  #jobs(): Job[] {
    return this.#sim.ledger.readRange({ prefix: jobPrefix }).map(({ value }) => value as Job);
  }

  #pick<T>(from: T[]): T | undefined {
    return from[Math.floor(this.#sim.random() * from.length)];
  }
}
