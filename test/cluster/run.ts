// Brings up a bare machine, runs `script/up` on it as a stranger would, then every cluster test against it, then removes all.
//   node test/cluster/run.ts [--keep] [--fresh] [test files...]
// --keep leaves the machine for the next run; --fresh makes a new one although there is one. GANTRY_TEST_MACHINE=2 is another one.

import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeUnderlay } from './machine.ts';
import { checkout, theMachine } from './platform.ts';

const project = join(import.meta.dirname, '../..');
const args = process.argv.slice(2);
const files = args.filter((arg) => !arg.startsWith('--'));
const machine = theMachine();

async function bringUp(): Promise<void> {
  const start = performance.now();
  if (!machine.isOn || args.includes('--fresh')) {
    await machine.create();
    await machine.powerOn();
  }
  await machine.copyProject(checkout);
  const up = await machine.sh(`cd ${checkout} && script/up`, { timeoutMs: 900_000 });
  await writeFile(join(project, '.tmp', `up-${machine.name}.log`), up.stdout + up.stderr);
  if (up.code !== 0)
    throw new Error(`script/up failed on the bare machine:\n${up.stdout}\n${up.stderr}`);
  console.log(up.stdout);
  console.log(`script/up on a bare machine: ${Math.round((performance.now() - start) / 1000)} s`);
}

function runTests(): Promise<number> {
  const all = globSync('test/*.test.ts', { cwd: project }).sort();
  // What a test leaves open must not keep its file from ending, nor a test that hangs the others from running.
  const options = ['--test-force-exit', '--test-timeout=600000', '--test-concurrency=1'];
  const child = spawn(
    process.execPath,
    ['--test', '--test-reporter=spec', ...options, ...(files.length > 0 ? files : all)],
    { cwd: project, stdio: 'inherit', timeout: 3_000_000 },
  );
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
}

let cleaning: Promise<void> | undefined;

/** Once, whether the tests end or a signal ends them. */
function cleanUp(): Promise<void> {
  cleaning ??= args.includes('--keep') ? Promise.resolve() : machine.destroy().then(removeUnderlay);
  return cleaning;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void cleanUp().finally(() => process.exit(130)));
}
try {
  await bringUp();
  process.exitCode = await runTests();
} finally {
  await cleanUp();
}
