// The loop that every component runs on: coalesces, never overlaps, backs off on failure only.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FakeClock } from './fake-clock.ts';
import { silentLog } from './log.ts';
import { createLoop, type LoopOptions } from './reconcile.ts';

function aLoop(run: LoopOptions['run'], clock = new FakeClock()) {
  const loop = createLoop({
    name: 'test',
    run,
    resyncMs: 1000,
    clock,
    random: () => 0.5,
    log: silentLog,
  });
  return { loop, clock };
}

describe('a reconcile loop', () => {
  test('runs at its start and then at every resync', async () => {
    let runs = 0;
    const { loop, clock } = aLoop(async () => void runs++);
    loop.start();
    await clock.advance(0);
    assert.equal(runs, 1);
    await clock.advance(3000);
    assert.equal(runs, 4);
    await loop.stop();
  });

  test('turns any number of triggers during a pass into exactly one more pass', async () => {
    let runs = 0;
    const gate = Promise.withResolvers<void>();
    const { loop, clock } = aLoop(async () => {
      runs++;
      if (runs === 1) await gate.promise;
    });
    loop.start();
    for (let call = 0; call < 10; call++) loop.trigger();
    gate.resolve();
    await clock.advance(10);
    assert.equal(runs, 2);
    await loop.stop();
  });

  test('never runs two passes at once', async () => {
    let active = 0;
    let most = 0;
    const { loop, clock } = aLoop(async (signal) => {
      most = Math.max(most, ++active);
      await clock.sleep(50, signal).finally(() => active--);
    });
    loop.start();
    for (let step = 0; step < 50; step++) {
      loop.trigger();
      await clock.advance(7);
    }
    assert.equal(most, 1);
    await loop.stop();
  });

  test('doubles its wait while passes fail, whatever triggers, and forgets that after a success', async () => {
    const at: number[] = [];
    let isBroken = true;
    const { loop, clock } = aLoop(async () => {
      at.push(clock.now());
      if (isBroken) throw new Error('broken');
    });
    loop.start();
    for (let step = 0; step < 80; step++) {
      loop.trigger();
      await clock.advance(10);
    }
    const waits = at.slice(1).map((time, index) => time - (at[index] ?? 0));
    assert.deepEqual(waits, [100, 200, 400]);
    assert.equal(loop.status().failuresInRow, 4);
    isBroken = false;
    await clock.advance(800);
    assert.equal(loop.status().failuresInRow, 0);
    const before = at.length;
    loop.trigger();
    await clock.advance(1);
    assert.equal(at.length, before + 1);
    await loop.stop();
  });

  test('aborts the running pass when it is stopped, waits for its end, and can be started again', async () => {
    let isEnded = false;
    let runs = 0;
    const { loop, clock } = aLoop(async (signal) => {
      runs++;
      await clock.sleep(10_000, signal).catch(() => undefined);
      isEnded = true;
    });
    loop.start();
    await clock.advance(0);
    await loop.stop();
    assert.equal(isEnded, true);
    await clock.advance(5000);
    assert.equal(runs, 1);
    loop.start();
    await clock.advance(0);
    assert.equal(runs, 2);
    await loop.stop();
  });

  test('runs again sooner when a pass asks for it', async () => {
    let runs = 0;
    const { loop, clock } = aLoop(async () => {
      runs++;
      return runs === 1 ? { againMs: 20 } : undefined;
    });
    loop.start();
    await clock.advance(25);
    assert.equal(runs, 2);
    await loop.stop();
  });
});
