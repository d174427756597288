// The wall clock is set while something waits: no wait gets longer than its limit, and none ends early.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { aJob, createWorld, type World } from './fake.ts';

const hourMs = 3_600_000;
/** For the steps around a wait. */
const slackMs = 1_000;

describe('when the wall clock is set', () => {
  let world: World;
  beforeEach(async () => {
    world = createWorld();
    await world.boot();
  });
  afterEach(() => world.close());

  // Where the record is written again, the agent looks at once: a timer that is already set does not help it.
  const isRunning = async (job: ReturnType<typeof aJob>) =>
    (await world.containers(job)).some(({ state }) => state === 'running');

  const crashLoop = async () => {
    const job = aJob({ behaves: { runForMs: 50, exitCode: 1 } });
    await world.put(job);
    await world.until('a wait of 8 s', async () =>
      /restart 5 in 8 s$/.test((await world.status(job))?.reason ?? ''),
    );
    return job;
  };
  const untilNextAttempt = (job: ReturnType<typeof aJob>, limitMs: number) =>
    world.until(
      'attempt 6',
      async () => ((await world.status(job))?.attempt ?? 0) >= 6,
      limitMs + slackMs,
    );

  it('back: a restart waits no longer than its back-off', async () => {
    const job = await crashLoop();
    world.clock.setWall(-hourMs);
    await untilNextAttempt(job, 8_000);
  });

  it('back, and the agent starts again: a restart waits no longer than its back-off', async () => {
    const job = await crashLoop();
    await world.halt();
    world.clock.setWall(-hourMs);
    await world.boot();
    await untilNextAttempt(job, 8_000);
  });

  it('forward: a restart still waits for its back-off', async () => {
    const job = await crashLoop();
    world.clock.setWall(hourMs);
    await world.put(job);
    await world.clock.advance(5_000);
    assert.equal((await world.status(job))?.attempt, 5);
    await untilNextAttempt(job, 8_000);
  });

  const busyJob = async (spec: { drainMs: number }) => {
    const job = aJob({ spec });
    await world.put(job);
    await world.untilState(job, 'up');
    const router = world.discovery.consume('router-1');
    const applied = world.discovery.directory()?.revision;
    assert.ok(applied);
    await Promise.all([router.report({ applied, busy: [job.id] }), world.clock.advance(100)]);
    await world.put({ ...job, desired: 'down' });
    await world.clock.advance(2_000);
    return job;
  };

  it('back: a drain waits no longer than drainMs', async () => {
    const job = await busyJob({ drainMs: 20_000 });
    world.clock.setWall(-hourMs);
    await world.untilState(job, 'down', 20_000);
  });

  it('forward: a drain still waits for its requests', async () => {
    const job = await busyJob({ drainMs: 20_000 });
    world.clock.setWall(hourMs);
    await world.put({ ...job, desired: 'down' });
    await world.clock.advance(10_000);
    assert.ok(await isRunning(job));
    await world.untilState(job, 'down', 20_000);
  });

  const stubbornJob = async () => {
    const job = aJob({ behaves: { ignoresTerm: true }, spec: { stopGraceMs: 10_000 } });
    await world.put(job);
    await world.untilState(job, 'up');
    await world.put({ ...job, desired: 'down' });
    await world.clock.advance(2_000);
    return job;
  };

  it('back: SIGKILL comes at the end of the grace', async () => {
    const job = await stubbornJob();
    world.clock.setWall(-hourMs);
    await world.untilState(job, 'down', 10_000);
  });

  it('forward: the grace is not cut short', async () => {
    const job = await stubbornJob();
    world.clock.setWall(hourMs);
    await world.put({ ...job, desired: 'down' });
    await world.clock.advance(5_000);
    assert.ok(await isRunning(job));
  });

  const sickJob = async () => {
    const job = aJob({ behaves: { neverHealthy: true }, spec: { restart: 'never' } });
    await world.put(job);
    await world.until('it runs', () => isRunning(job));
    await world.clock.advance(10_000);
    return job;
  };

  it('back: an attempt that never gets healthy fails in time', async () => {
    const job = await sickJob();
    world.clock.setWall(-hourMs);
    await world.untilState(job, 'failed', 50_000 + slackMs);
  });

  it('back, and the agent starts again: such an attempt fails in time', async () => {
    const job = await sickJob();
    await world.halt();
    world.clock.setWall(-hourMs);
    await world.boot();
    await world.untilState(job, 'failed', 60_000 + slackMs);
  });

  it('forward: an attempt that is not healthy yet keeps its time', async () => {
    const job = await sickJob();
    world.clock.setWall(hourMs);
    await world.put(job);
    await world.clock.advance(20_000);
    assert.ok(await isRunning(job));
  });

  it('back: a dead container goes when it is old, and not before', async () => {
    const job = aJob({ kind: 'ephemeral', behaves: { runForMs: 50 }, spec: { restart: 'never' } });
    await world.put(job);
    await world.untilState(job, 'down');
    // The agent looks once a minute at the latest.
    await world.clock.advance(90_000);
    world.clock.setWall(-hourMs);
    await world.clock.advance(400_000);
    assert.equal((await world.containers(job)).length, 1);
    await world.until(
      'it is gone',
      async () => (await world.containers(job)).length === 0,
      300_000,
    );
  });
});
