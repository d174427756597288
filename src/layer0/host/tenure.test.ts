// When may a machine run singletons, and who ends them when it may not?

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { Fence, leaseFile, singletonFolder } from './fence.ts';
import { createMemoryBook, createTenureBook, Tenure } from './tenure.ts';

const leaseMs = 10_000;

function aTenure({ isAlone = false } = {}) {
  const clock = new FakeClock();
  const book = createMemoryBook(clock);
  let changes = 0;
  const onChange = () => {
    changes++;
  };
  const deps = { book, leaseMs, clock, isAlone: () => isAlone, onChange };
  return {
    clock,
    book,
    tenure: new Tenure(deps),
    again: () => new Tenure(deps),
    of: () => changes,
  };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test('a lease counts from before it was asked for, and only once the records of jobs are as new', async () => {
  const { clock, tenure, of } = aTenure();
  const records = Promise.withResolvers<void>();
  tenure.begin(clock.monotonicMs(), records.promise);
  await settled();
  assert.deepEqual([tenure.isHeld, tenure.isOver], [false, true]);
  await clock.advance(4_000);
  records.resolve();
  await settled();
  assert.deepEqual([tenure.isHeld, of()], [true, 1]);
  await clock.advance(5_999);
  assert.equal(tenure.isHeld, true);
  await clock.advance(2);
  assert.deepEqual([tenure.isHeld, tenure.isOver, of()], [false, true, 2]);
});

test('a lease that is gone starts nothing more, and what runs has what it was granted', async () => {
  const { clock, tenure } = aTenure();
  tenure.begin(clock.monotonicMs(), Promise.resolve());
  await settled();
  tenure.end();
  assert.deepEqual([tenure.isHeld, tenure.isOver], [false, false]);
  await clock.advance(leaseMs);
  assert.equal(tenure.isOver, true);
});

test('a daemon that is started again goes by what the one before it was granted', async () => {
  const { clock, tenure, again } = aTenure();
  tenure.begin(clock.monotonicMs(), Promise.resolve());
  await settled();
  await clock.advance(3_000);
  const next = again();
  await next.load();
  assert.deepEqual([next.isHeld, next.isOver], [false, false]);
  await clock.advance(7_001);
  assert.equal(next.isOver, true);
});

test('a machine that is alone fences nothing', async () => {
  const { clock, tenure } = aTenure({ isAlone: true });
  tenure.begin(clock.monotonicMs(), Promise.resolve());
  await settled();
  await clock.advance(24 * 3_600_000);
  assert.equal(tenure.isHeld, true);
});

test('a renewal that meets another one is written down, and the last word counts', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-tenure-'));
  t.after(() => rm(folder, { recursive: true }));
  const book = createTenureBook(folder);
  await Promise.all([1, 2, 3, 4, 5].map((untilMs) => book.say(untilMs)));
  assert.equal(await book.readUntil(), 5);
});

test('the fence ends all processes of guarded containers when the time is over, and no others', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fence-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [ours, others] = ['a'.repeat(64), 'b'.repeat(64)];
  const procFolder = join(folder, 'proc');
  const put = async (path: string, text: string) => {
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, text);
  };
  const processes = {
    11: `0::/docker/${ours}`,
    12: `0::/../docker-${ours}.scope`,
    13: others,
    1: '/',
  };
  for (const [pid, groups] of Object.entries(processes))
    await put(join(procFolder, pid, 'cgroup'), `${groups}\n`);
  await put(join(procFolder, 'uptime'), '100.00 90.00\n');
  await put(join(folder, singletonFolder, ours), '');
  await put(join(folder, singletonFolder, '..lease'), '');
  const killed: number[] = [];
  const log = { warn: () => undefined };
  const kill = (pid: number) => void killed.push(pid);
  const fence = new Fence({ clock: new FakeClock(), log, folder, procFolder, kill });
  await put(join(folder, leaseFile), '100001');
  assert.deepEqual(await fence.look(), []);
  await put(join(folder, leaseFile), '100000');
  assert.deepEqual((await fence.look()).sort(), [11, 12]);
  await rm(join(folder, leaseFile));
  assert.equal((await fence.look()).length, 2, 'what nobody may run is ended');
  assert.deepEqual(killed.sort(), [11, 11, 12, 12]);
});
