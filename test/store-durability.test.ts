// An acknowledged commit survives kill -9 of the daemon, and a power cut at any moment.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '#core/clock';
import { silentLog } from '#core/log';
import { seededRandom } from '#core/random';
import { openSqliteStore } from '#layer0/store/index';
import { lossOf } from './store/numbered.ts';
import { type Fate, ReplayedDisk, readRecording } from './store/power-cut.ts';

const writer = join(import.meta.dirname, 'store/writer.ts');
const shimSource = join(import.meta.dirname, 'store/record-writes.c');
const hangLimitMs = 60_000;
const work = mkdtempSync(join(tmpdir(), 'gantry-durability-'));
after(() => rmSync(work, { recursive: true, force: true }));

const acksIn = (text: string) => text.split('\n').slice(0, -1).map(Number);

async function contentOf(folder: string): Promise<Map<string, unknown>> {
  const options = { folder, clock: systemClock, log: silentLog, isDurable: false };
  const store = await openSqliteStore(options);
  try {
    const { entries } = await store.list('k/');
    return new Map(entries.map(({ key, value }) => [key, value]));
  } finally {
    await store.close();
  }
}

test('kill -9 of the writer loses no acknowledged commit', async () => {
  const folder = join(work, 'killed');
  const acks = join(work, 'killed.acks');
  for (let round = 0; round < 5; round++) {
    const enough = (round + 1) * 150;
    const child = spawn(
      process.execPath,
      [writer, folder, acks, String(round * 1_000_000), '1000000', 'durable'],
      { stdio: 'inherit' },
    );
    const exited = once(child, 'exit');
    const deadline = Date.now() + hangLimitMs;
    while (!existsSync(acks) || acksIn(readFileSync(acks, 'utf8')).length < enough) {
      assert.ok(Date.now() < deadline, `${enough} acknowledgements within ${hangLimitMs} ms`);
      assert.equal(child.exitCode, null, 'the writer ended by itself');
      await delay(5);
    }
    child.kill('SIGKILL');
    await exited;
    const acknowledged = acksIn(readFileSync(acks, 'utf8'));
    assert.equal(lossOf(await contentOf(folder), acknowledged), undefined);
  }
});

interface Verdict {
  losses: string[];
  cuts: number;
  syncs: number;
  acknowledged: number;
}

/** Runs the writer under the recorder, then cuts the power at many moments and looks at what is left. */
async function cutPower(mode: 'durable' | 'weak', shim: string): Promise<Verdict> {
  const home = join(work, mode);
  const recording = join(work, `${mode}.recording`);
  mkdirSync(home);
  spawnSync(process.execPath, [writer, join(home, 'store'), join(home, 'acks'), '0', '400', mode], {
    env: { ...process.env, LD_PRELOAD: shim, RECORD_FOLDER: home, RECORD_LOG: recording },
    stdio: 'inherit',
  });
  const events = readRecording(recording).filter(({ path }) => basename(path) !== 'reserve');
  const random = seededRandom(7);
  const disk = new ReplayedDisk();
  const acknowledged: number[] = [];
  const verdict: Verdict = { losses: [], cuts: 0, syncs: 0, acknowledged: 0 };
  for (const event of events) {
    if (basename(event.path) !== 'acks') disk.play(event);
    else if (event.op === 'w') acknowledged.push(...acksIn(event.data.toString()));
    // Often right after an acknowledgement, when a promise was given and nothing else has happened since.
    const chance = basename(event.path) === 'acks' ? 0.08 : 0.002;
    if (acknowledged.length === 0 || random() > chance) continue;
    for (const fate of ['dropped', 'kept', 'torn'] satisfies Fate[]) {
      const loss = await lossAfter(disk.cut(fate, random), acknowledged);
      verdict.cuts++;
      if (loss) verdict.losses.push(`${fate}: ${loss}`);
    }
  }
  return { ...verdict, syncs: disk.syncs, acknowledged: acknowledged.length };
}

async function lossAfter(
  files: Map<string, Buffer>,
  acknowledged: number[],
): Promise<string | undefined> {
  const folder = join(work, 'after-the-cut');
  mkdirSync(folder);
  try {
    for (const [path, content] of files) writeFileSync(join(folder, basename(path)), content);
    return lossOf(await contentOf(folder), acknowledged);
  } catch (error) {
    return String(error);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const hasCompiler = spawnSync('cc', ['--version']).status === 0;
const skip = hasCompiler ? false : 'no C compiler: install gcc and libc6-dev to record the writes';

test('a power cut at any moment loses no acknowledged commit; without the sync it would', {
  skip,
}, async () => {
  const shim = join(work, 'record-writes.so');
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', shim, shimSource, '-ldl', '-lpthread']);
  const durable = await cutPower('durable', shim);
  assert.equal(durable.acknowledged, 400);
  assert.ok(durable.cuts > 60, `only ${durable.cuts} cuts were tried`);
  assert.deepEqual(durable.losses, []);
  const weak = await cutPower('weak', shim);
  assert.ok(weak.losses.length > 0, 'the proof proves nothing: a store that never syncs passed it');
  assert.ok(weak.syncs < durable.syncs / 10, `${weak.syncs} syncs against ${durable.syncs}`);
});
