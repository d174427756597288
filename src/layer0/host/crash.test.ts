// Whatever ends between two steps, everything comes to the same end, and no job ever has two containers running.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Random, seededRandom } from '#core/random';
import type { Job } from '#layer0/scheduler/wire';
import { aJob, createWorld, type World } from './fake.ts';
import type { StepKind } from './steps.ts';

const seeds = Number(process.env.GANTRY_TEST_SEEDS ?? 60);

/** Ends the agent after the n-th step; undefined steps: never. */
function endAfter(world: World, steps: number) {
  const taken: StepKind[] = [];
  let isDead = false;
  const onStep = (kind: StepKind) => {
    taken.push(kind);
    if (taken.length >= steps) isDead = true;
    if (isDead) throw new Error('the process ended here');
  };
  return { onStep, taken, isDead: () => isDead, world };
}

async function assertOneAtMost(world: World, job: Job): Promise<void> {
  const containers = await world.runtime.list({ 'gantry.job': job.id }).catch(() => []);
  const running = containers.filter(({ state }) => state === 'running');
  assert.ok(running.length <= 1, `${running.map(({ name }) => name).join(' and ')} run at once`);
}

describe('an agent that ends after step n and starts again', () => {
  it('brings the job up and down all the same, for every n', async () => {
    let n = 1;
    for (let isComplete = false; !isComplete; n++) {
      const world = createWorld({ seed: n });
      const job = aJob();
      const crash = endAfter(world, n);
      await world.boot({ onStep: crash.onStep });
      await world.put(job);
      const isOver = async (state: string) =>
        crash.isDead() || (await world.status(job))?.state === state;
      await world.until('up', () => isOver('up'));
      if (!crash.isDead()) await world.put({ ...job, desired: 'down' });
      await world.until('down', () => isOver('down'), 200_000);
      isComplete = !crash.isDead();
      if (crash.isDead()) {
        await assertOneAtMost(world, job);
        await world.halt();
        await world.boot();
        const isUp = (await world.store.get<Job>(`scheduler/jobs/${job.id}`))?.value.desired;
        if (isUp === 'up') {
          const status = await world.untilState(job, 'up');
          assert.equal(status.attempt, 1, `after ${crash.taken.join(', ')}`);
          await world.put({ ...job, desired: 'down' });
        }
        await world.untilState(job, 'down');
      }
      const left = (await world.containers(job)).filter(({ state }) => state !== 'exited');
      assert.deepEqual(left, [], `after ${crash.taken.join(', ')}`);
      assert.equal(world.network.held.size, 0, `after ${crash.taken.join(', ')}`);
      assert.equal(world.discovery.instances('web.shop').length, 0);
      await world.close();
    }
    assert.ok(n > 10, `only ${n} steps were there to end after`);
  });
});

type Fault = (world: World, job: Job, random: Random) => Promise<void>;

const faults: Fault[] = [
  async (world) => {
    await world.halt();
    await world.boot();
  },
  async (world, _job, random) => {
    world.runtime.crash();
    await world.clock.advance(random() * 5_000);
    world.runtime.restart();
  },
  async (world, job, random) => {
    const running = (await world.containers(job)).find(({ state }) => state === 'running');
    if (running) world.runtime.exit(running.id, Math.floor(random() * 3));
  },
  async (world, _job, random) => {
    world.outage.store = true;
    await world.clock.advance(random() * 5_000);
    world.outage.store = false;
  },
  async (world) => {
    world.runtime.powerOff();
    await world.halt();
    world.runtime.restart();
    await world.boot();
  },
  async (world, job) => {
    const exited = (await world.containers(job)).find(({ state }) => state === 'exited');
    if (exited) await world.runtime.remove(exited.id);
  },
];

describe('an agent under random faults', () => {
  for (let seed = 1; seed <= seeds; seed++)
    it(`converges with seed ${seed}`, async () => {
      const random = seededRandom(seed);
      const world = createWorld({ seed });
      const behaves = random() < 0.3 ? { runForMs: 3_000 * random(), exitCode: 1 } : {};
      const job = aJob({ behaves: { ...behaves, startMs: 200 * random() } });
      const steps = 1 + Math.floor(random() * 12);
      const crash = endAfter(world, steps);
      await world.boot({ onStep: crash.onStep });
      await world.put(job);
      for (let round = 0; round < 8; round++) {
        await world.clock.advance(random() * 1_000);
        await assertOneAtMost(world, job);
        if (crash.isDead() || random() < 0.5)
          await faults[Math.floor(random() * faults.length)]?.(world, job, random);
        await assertOneAtMost(world, job);
      }
      await world.halt();
      await world.boot();
      if (Object.keys(behaves).length === 0) await world.untilState(job, 'up', 300_000);
      const isDeleted = random() < 0.5;
      if (isDeleted) await world.drop(job);
      else {
        await world.put({ ...job, desired: 'down' });
        await world.untilState(job, 'down', 300_000);
      }
      await world.until('nothing runs', async () => {
        await assertOneAtMost(world, job);
        const containers = await world.containers(job);
        return containers.every(({ state }) => state === 'exited');
      });
      await world.until('the address is free', () => world.network.held.size === 0);
      await world.until('out of discovery', () => {
        return world.discovery.instances('web.shop').length === 0;
      });
      await world.close();
    });
});
