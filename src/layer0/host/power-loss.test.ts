// A machine that loses its power again and again: that is nothing its processes did, and none of them waits for it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aJob, createWorld } from './fake.ts';

test('what ended with the machine is started at once, however often in a row', async (t) => {
  const world = createWorld();
  t.after(() => world.close());
  await world.boot();
  const job = aJob();
  await world.put(job);
  await world.untilState(job, 'up');
  for (let loss = 1; loss <= 6; loss++) {
    await world.halt();
    world.runtime.powerOff();
    world.runtime.restart();
    await world.boot();
    await world.until(
      `attempt ${loss + 1} to be up`,
      async () => {
        const status = await world.status(job);
        return status?.attempt === loss + 1 && status.state === 'up';
      },
      3_000,
    );
    assert.equal((await world.status(job))?.restarts ?? 0, 0);
  }
});

test('a process that crashes by itself backs off after it, as before', async (t) => {
  const world = createWorld();
  t.after(() => world.close());
  await world.boot();
  const job = aJob({ behaves: { runForMs: 50, exitCode: 1 } });
  await world.put(job);
  const backsOff = async () => / in 8 s$/.test((await world.status(job))?.reason ?? '');
  await world.until('a wait of 8 s', backsOff);
  await world.halt();
  await world.boot();
  await world.until('the next wait', async () =>
    / in 16 s$/.test((await world.status(job))?.reason ?? ''),
  );
});
