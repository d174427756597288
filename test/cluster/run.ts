// Brings up a bare machine, runs `script/up` on it as a stranger would, then every cluster test against it, then removes all.
//   node test/cluster/run.ts [--keep] [--fresh] [test files...]
// --keep leaves the machine for the next run; --fresh makes a new one although there is one. GANTRY_TEST_MACHINE=2 is another one.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { bringUp, destroyAll } from './bring-up.ts';
import { theMachine } from './platform.ts';

const project = join(import.meta.dirname, '../..');
const args = process.argv.slice(2);
const files = args.filter((arg) => !arg.startsWith('--'));
const machine = theMachine();
/** As many files may have failed for a second try to say something. */
const filesRunAgain = 2;
let running: ChildProcess | undefined;

/** Runs test files, and shows what they say as it comes. `failed`: the files in which something failed. */
function runTests(tests: readonly string[]): Promise<{ code: number; failed: string[] }> {
  // What a test leaves open must not keep its file from ending, nor a test that hangs the others from running.
  const options = ['--test-force-exit', '--test-timeout=600000', '--test-concurrency=1'];
  const child = spawn(process.execPath, ['--test', '--test-reporter=spec', ...options, ...tests], {
    cwd: project,
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 3_000_000,
    // A group of its own: what a test file has started ends with it.
    detached: true,
  });
  running = child;
  const failed = new Set<string>();
  child.stdout.pipe(process.stdout, { end: false });
  createInterface(child.stdout).on('line', (line) => {
    const place = /^test at (\S+\.test\.ts):\d+:\d+$/.exec(line);
    if (place?.[1]) failed.add(place[1]);
  });
  return new Promise((resolve) =>
    child.on('close', (code) => resolve({ code: code ?? 1, failed: [...failed] })),
  );
}

/** What the platform was like when something failed: the machine is gone when somebody reads of it. */
async function showState(): Promise<void> {
  const look = ['gantry doctor', 'gantry ps -a gantry', 'docker ps -a', 'uptime'];
  const logs = 'docker logs --tail 40 gantry-host 2>&1';
  const seen = await machine.sh([...look, logs].join('; echo; '), { timeoutMs: 60_000 });
  console.log(`The first machine after that:\n${seen.stdout}${seen.stderr}`);
}

/** Every test, the one that removes the platform last. What failed is run again: docs/decisions/second-run.md. */
async function runAll(): Promise<number> {
  const all = globSync('test/*.test.ts', { cwd: project }).sort();
  const isEnd = (file: string) => file.endsWith('zz-down.test.ts');
  const first = await runTests(all.filter((file) => !isEnd(file)));
  if (first.code !== 0) await showState();
  const end = await runTests(all.filter(isEnd));
  if (first.code === 0 && end.code === 0) return 0;
  const failed = [...first.failed, ...end.failed];
  if (failed.length === 0 || failed.length > filesRunAgain) return 1;
  console.log(`Run once more, on a new machine: ${failed.join(' ')}`);
  await bringUp({ isFresh: true });
  const second = await runTests(failed);
  const verdict = second.code === 0 ? 'FAILED ONCE, then passed' : 'FAILED TWICE';
  console.log(`${verdict}: ${failed.join(' ')}`);
  return second.code;
}

/** With every process that a test file started: none may make a machine while all are taken away. */
async function endTests(): Promise<void> {
  const { pid, exitCode, signalCode } = running ?? {};
  if (!running || pid === undefined || exitCode !== null || signalCode !== null) return;
  const closed = once(running, 'close');
  process.kill(-pid, 'SIGKILL');
  await closed;
}

let cleaning: Promise<void> | undefined;

/** Once, whether the tests end or a signal ends them. */
function cleanUp(): Promise<void> {
  cleaning ??= args.includes('--keep') ? endTests() : endTests().then(destroyAll);
  return cleaning;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void cleanUp().finally(() => process.exit(130)));
}
try {
  const start = performance.now();
  await bringUp({ isFresh: args.includes('--fresh') });
  console.log(`script/up on a bare machine: ${Math.round((performance.now() - start) / 1000)} s`);
  process.exitCode = files.length > 0 ? (await runTests(files)).code : await runAll();
} finally {
  await cleanUp();
}
