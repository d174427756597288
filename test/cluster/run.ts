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
  const reporter = ['--test-reporter=spec', '--test-concurrency=1', '--test-timeout=900000'];
  const child = spawn(
    process.execPath,
    ['--test', ...reporter, ...(files.length > 0 ? files : all)],
    {
      cwd: project,
      stdio: 'inherit',
    },
  );
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
}

async function cleanUp(): Promise<void> {
  if (args.includes('--keep')) return;
  await machine.destroy();
  await removeUnderlay();
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
