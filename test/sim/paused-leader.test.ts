// Two daemons, one leader: the one that leads is frozen (SIGSTOP) at any moment, for shorter or longer than its lease, and
// goes on as if nothing had been. Whatever it still sends, only who holds the election when it arrives may commit.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { type Random, seededRandom } from '#core/random';
import { createSchedulerClient } from '#layer0/scheduler/client';
import { defaultSchedulerConfig } from '#layer0/scheduler/config';
import { aFormation, aHost, aProcess } from '#layer0/scheduler/fake';
import { createScheduler, type Scheduler } from '#layer0/scheduler/index';
import { jobPrefix } from '#layer0/scheduler/wire';
import type { Compare, Txn, TxnResult } from '#layer0/store/client';
import { createMemoryStore } from '#layer0/store/fake';
import { Faults } from './faults.ts';
import { Life } from './life.ts';
import { StoreDoor, type StoreHouse } from './store-door.ts';

const seeds = 150;
const electionKey = 'elections/scheduler/service';
const longestFreezeMs = 3 * defaultSchedulerConfig.electionTtlMs;
const rounds = 12;

/** Notes every commit of jobs that was not its leader's. */
class WatchedDoor extends StoreDoor {
  readonly #identity: string;
  readonly #told: (identity: string) => Promise<void>;

  constructor(
    door: ConstructorParameters<typeof StoreDoor>,
    identity: string,
    told: (identity: string) => Promise<void>,
  ) {
    super(...door);
    this.#identity = identity;
    this.#told = told;
  }

  override async txn(txn: Txn): Promise<TxnResult> {
    const result = await super.txn(txn);
    const isOfJobs = txn.operations.some((one) => 'put' in one && one.put.startsWith(jobPrefix));
    if (result.ok && isOfJobs) await this.#told(this.#identity);
    return result;
  }
}

interface Run {
  /** Commits of who did not lead. */
  wrong: string[];
  /** Daemons that committed. */
  authors: Set<string>;
  conflicts: number;
}

async function play(seed: number, ignores?: (compare: Compare) => boolean): Promise<Run> {
  const clock = new FakeClock();
  const random = seededRandom(seed);
  const store = createMemoryStore({ clock, random });
  const house: StoreHouse = { serving: undefined, ...(ignores ? { ignores } : {}) };
  house.serving = { store, life: new Life(clock, () => 0) };
  const run: Run = { wrong: [], authors: new Set(), conflicts: 0 };
  const told = async (identity: string) => {
    run.authors.add(identity);
    const leader = (await store.get<{ identity: string }>(electionKey))?.value.identity;
    if (leader !== identity) run.wrong.push(`${identity} committed, ${leader} leads`);
  };
  const daemons = ['h1', 'h2'].map((identity) => {
    const life = new Life(clock, () => 0);
    const faults = new Faults(random, () => clock.monotonicMs());
    const door = new WatchedDoor([house, life, faults], identity, told);
    const deps = { store: door, clock: life.clock, random, log: silentLog };
    return { life, faults, scheduler: createScheduler({ ...deps, identity }) };
  });
  await putHosts(store);
  for (const { scheduler } of daemons) await scheduler.start();
  for (let round = 0; round < rounds; round++) await disturb({ clock, random, store, daemons });
  for (const { life, scheduler } of daemons) {
    life.thaw();
    run.conflicts += conflictsOf(scheduler);
    life.kill();
  }
  return run;
}

interface World {
  clock: FakeClock;
  random: Random;
  store: ReturnType<typeof createMemoryStore>;
  daemons: { life: Life; faults: Faults; scheduler: Scheduler }[];
}

/** Something to decide about, and somebody who stands still while it is decided. */
async function disturb({ clock, random, store, daemons }: World): Promise<void> {
  const client = createSchedulerClient({ store, clock });
  const quantity = Math.floor(random() * 6);
  await client.putFormation(aFormation({ processes: { web: aProcess({ quantity }) } }));
  for (const { life, faults } of daemons) {
    faults.isOn = random() < 0.3;
    if (random() < 0.5) life.freeze();
  }
  await clock.advance(Math.floor(random() ** 2 * longestFreezeMs));
  for (const { life } of daemons) life.thaw();
  await clock.advance(Math.floor(random() * 2000));
}

async function putHosts(store: World['store']): Promise<void> {
  for (const id of ['h1', 'h2']) {
    const operations = [
      { put: `hosts/${id}`, value: aHost({ id }) },
      { put: `host/alive/${id}`, value: {} },
    ];
    await store.txn({ compare: [], operations });
  }
}

function conflictsOf(scheduler: Scheduler): number {
  return scheduler.report().schedulers.reduce((all, { conflicts }) => all + conflicts, 0);
}

test('a leader that was frozen commits nothing once another leads', async () => {
  const authors = new Set<string>();
  let conflicts = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const run = await play(seed);
    assert.deepEqual(run.wrong, [], `seed ${seed}`);
    for (const author of run.authors) authors.add(author);
    conflicts += run.conflicts;
  }
  assert.deepEqual([...authors].sort(), ['h1', 'h2'], 'both have led');
  assert.ok(conflicts > 0, 'it was tried');
});

test('without the fence among its compares, one does', async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const { wrong } = await play(seed, ({ key }) => key === electionKey);
    if (wrong.length > 0) return;
  }
  assert.fail('nobody missed the fence');
});
