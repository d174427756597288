// Do the benchmarks still run, and does the runner say what they found? Those without Docker run at a tiny size; figures are
// not judged here.

import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { readable, recordLine } from '../bench/report.ts';
import type { BenchResult } from '../bench/result.ts';
import { benchNames, describeBench, runBench } from '../bench/run.ts';

/** What each needs of the machine besides Node. */
const tiny: Record<string, { programs: string[]; needsRoot?: boolean }> = {
  store: { programs: [] },
  'store-etcd': { programs: ['etcd'] },
  schedule: { programs: [] },
  'cli-start': { programs: [] },
  'route-change': { programs: ['haproxy'] },
  proxying: { programs: ['haproxy', 'wrk'] },
  dns: { programs: ['dnsperf', 'dnsmasq'], needsRoot: true },
};
/** Run by their own tests, or by hand: they need Docker, or a whole platform. */
const larger = [
  'boot',
  'boot-cluster',
  'change-visible',
  'container-start',
  'idle',
  'image',
  'push',
  'rolling-deploy',
  'swarm',
];

for (const [name, { programs, needsRoot }] of Object.entries(tiny)) {
  const missing = programs.filter((program) => spawnSync(program, ['--version']).error);
  const needs = [...missing, ...(needsRoot && process.getuid?.() !== 0 ? ['root'] : [])];
  const skip = needs.length > 0 && `needs ${needs.join(', ')}`;
  test(`bench ${name} runs at a tiny size`, { skip, timeout: 60_000 }, async () => {
    const results = await runBench(name, true);
    assert.notEqual(results.length, 0);
    for (const result of results) {
      for (const figure of ['figure', 'peerFigure', 'ratio', 'min', 'max'] as const)
        assert.ok(Number.isFinite(result[figure]), `${result.name}: ${figure} is no number`);
      assert.ok(result.min <= result.ratio && result.ratio <= result.max, result.name);
    }
  });
}

test('every benchmark says what it measures, and is run here or known to be larger', () => {
  for (const name of benchNames()) {
    assert.ok(describeBench(name).length > 40, `bench/${name}.ts does not say what it measures`);
    assert.ok(name in tiny || larger.includes(name), `bench/${name}.ts is in neither list`);
  }
});

const aResult: BenchResult = {
  name: 'start',
  figure: 151.23,
  unit: 'ms',
  peer: 'raw',
  peerFigure: 140,
  ratio: 1.08021,
  target: '<= 1.1x',
  isMet: true,
  min: 0.9912,
  max: 1.2,
  pairs: 7,
};

test('a result reads as a line with figure, peer, ratio, spread, target and verdict', () => {
  const expected =
    'start: 151 ms | raw: 140 | ratio 1.08 (0.991-1.2, 7 pairs) | target <= 1.1x: met';
  assert.equal(readable(aResult), expected);
  assert.match(readable({ ...aResult, isMet: false }), /: MISSED$/);
  assert.match(readable({ ...aResult, note: 'cold' }), /\n {2}cold$/);
});

test('the record is one line of JSON with the whole result', () => {
  const line = recordLine('container-start', true, aResult);
  const { bench, isTiny, ratio } = JSON.parse(line) as Record<string, unknown>;
  assert.deepEqual([bench, isTiny, ratio], ['container-start', true, aResult.ratio]);
  assert.equal(line.includes('\n'), false);
});

const run = promisify(execFile);
const runner = join(import.meta.dirname, '..', 'bench', 'run.ts');

test('an unknown benchmark is refused with the list of those there are', async () => {
  await assert.rejects(run(process.execPath, [runner, 'nothing']), ({ code, stderr }) => {
    assert.equal(code, 1);
    assert.match(stderr, /NAME is all, .*store/);
    return true;
  });
});

test('a benchmark whose peer is missing says so and the run fails', async () => {
  const env = { ...process.env, PATH: '/nonexistent' };
  await assert.rejects(
    run(process.execPath, [runner, 'proxying', '--tiny'], { env }),
    ({ code, stderr }) => {
      assert.equal(code, 1);
      assert.match(stderr, /proxying could not run: wrk is not installed/);
      return true;
    },
  );
});
