// Who keeps the machines: tags, drains, rebalances, and machines that are taken out of the cluster, dead or alive. All of it by the
// operations of the API; what a machine that was taken out does afterwards is drawn, too.

import { hostDrainKey, hostPrefix, type JobStatus, statusKey } from '#layer0/host/wire';
import { memberPrefix } from '#layer0/membership/wire';
import { type Job, jobPrefix, rebalanceKey } from '#layer0/scheduler/wire';
import type { Store } from '#layer0/store/client';
import { type App, appPrefix } from '#layer1/controller/wire';
import { removeMember } from '../../src/layer0/membership/act/remove-member.ts';
import type { Context } from '../../src/layer1/controller/context.ts';
import {
  changeTags,
  rebalance,
  removeHost,
  setDrain,
} from '../../src/layer1/controller/operations/host-changes.ts';
import type { Deeds } from './chaos.ts';
import { later } from './chaos.ts';
import type { Simulation } from './simulation.ts';

const caller = { id: 'tok-sim', name: 'an operator' };
/** Fewer are never left. */
const fewestMachines = 2;
/** Share of the runs in which machines are taken out. */
const removingShare = 0.4;
const zones = ['a', 'b', null];

export class Operators {
  readonly #sim: Simulation;
  readonly #mayRemove: boolean;
  /** A machine that was taken out is not wiped where a restore may bring it back. */
  readonly #mayWipe: boolean;

  constructor(sim: Simulation, { mayWipe }: { mayWipe: boolean }) {
    this.#sim = sim;
    this.#mayRemove = sim.random() < removingShare;
    this.#mayWipe = mayWipe;
  }

  deeds(): Deeds {
    return [
      [3, () => this.#drain()],
      [2, () => this.#undrain()],
      [1, () => this.#rebalance()],
      [1, () => this.#tag()],
      [this.#mayRemove ? 1 : 0, () => this.#remove()],
    ];
  }

  /** Somebody sees that nothing has a place any more. */
  async end(): Promise<void> {
    const { ledger } = this.#sim;
    const hosts = this.#hosts();
    const drained = hosts.filter((id) => ledger.read(hostDrainKey(id)));
    const [first] = drained;
    const isAnyGone = hosts.some((id) => this.#sim.isWiped(id));
    if (first === undefined || (drained.length < hosts.length && !isAnyGone)) return;
    for (const id of isAnyGone ? drained : [first])
      await this.#ask(`undrains ${id}`, (context) =>
        setDrain(context, id, { isDraining: false, caller }),
      );
  }

  #drain(): Promise<void> {
    const id = this.#pick(this.#hosts());
    if (id === undefined) return Promise.resolve();
    return this.#ask(`drains ${id}`, (context) =>
      setDrain(context, id, { isDraining: true, caller }),
    );
  }

  #undrain(): Promise<void> {
    const { ledger } = this.#sim;
    const id = this.#pick(this.#hosts().filter((one) => ledger.read(hostDrainKey(one))));
    if (id === undefined) return Promise.resolve();
    return this.#ask(`undrains ${id}`, (context) =>
      setDrain(context, id, { isDraining: false, caller }),
    );
  }

  #tag(): Promise<void> {
    const id = this.#pick(this.#hosts());
    if (id === undefined) return Promise.resolve();
    const zone = this.#pick(zones) ?? null;
    return this.#ask(`tags ${id} with zone ${zone}`, (context) =>
      changeTags(context, id, { zone }),
    );
  }

  /** Apps of stacks are no apps of the platform: their owner writes what the API would. */
  #rebalance(): Promise<void> {
    if (this.#sim.random() < 0.3)
      return this.#ask('rebalances the platform', (context) => rebalance(context, undefined));
    const app = this.#pick([...new Set(this.#jobs().map((job) => job.app))]);
    if (app === undefined) return Promise.resolve();
    return this.#ask(`rebalances ${app}`, async ({ store, clock }) => {
      const operations = [{ put: rebalanceKey(app), value: { at: clock.now() } }];
      await store.txn({ compare: [], operations });
    });
  }

  async #remove(): Promise<void> {
    const hosts = this.#hosts();
    if (hosts.length <= fewestMachines) return;
    const id = this.#pick(hosts) ?? '';
    const isForced = this.#sim.random() < 0.5;
    const isWiped = this.#mayWipe && this.#sim.random() < 0.5;
    await this.#ask(`removes ${id}${isForced ? ' by force' : ''}`, async (context) => {
      await removeHost(context, id, { isForced, caller });
      if (isWiped) later(this.#sim, () => this.#sim.wipe(id));
    });
  }

  /** A store that is away, and what the API refuses, is their bad luck. */
  async #ask(what: string, call: (context: Context) => Promise<unknown>): Promise<void> {
    const { serving } = this.#sim.house;
    if (!serving?.life.isAlive) return;
    this.#sim.say(`operator: ${what}`);
    try {
      await call(this.#context(serving.store));
    } catch (error) {
      this.#sim.say(`operator: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** The part of a controller that these operations ask. */
  #context(store: Store): Context {
    const { clock, random, machines } = this.#sim;
    const read = <T>(key: string) => this.#sim.ledger.read(key)?.value as T | undefined;
    const observer = {
      allJobs: () => this.#jobs(),
      status: (job: string) => read<JobStatus>(statusKey(job)),
      apps: () => this.#all<App>(appPrefix),
    };
    const membership = {
      list: async () => this.#all(memberPrefix),
      remove: (id: string) => removeMember(store, id, clock.now()),
    };
    const storeHost = machines.find(({ plan }) => plan.hasStore)?.id;
    const ha = { status: async () => ({ storeHost }) };
    return { store, clock, random, observer, membership, ha } as unknown as Context;
  }

  #hosts(): string[] {
    return this.#all<{ id: string }>(hostPrefix).map(({ id }) => id);
  }

  #jobs(): Job[] {
    return this.#all<Job>(jobPrefix);
  }

  #all<T>(prefix: string): T[] {
    return this.#sim.ledger.readRange({ prefix }).map(({ value }) => value as T);
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.#sim.random() * from.length)];
  }
}
