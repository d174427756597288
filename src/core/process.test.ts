// How a process begins and ends, seen from outside.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

const here = new URL('./process.ts', import.meta.url).href;

function start(script: string) {
  const code = `import { processParts, stopWhenTold } from '${here}';\n${script}`;
  const args = ['--input-type=module-typescript', '-e', code];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += chunk.toString();
  return text;
}

for (const signal of ['SIGTERM', 'SIGINT'] as const)
  test(`a process that is told to stop by ${signal} does so and is over, whatever it holds open`, async () => {
    const child = start(`
      setInterval(() => undefined, 1000);
      stopWhenTold(async () => console.log('stopped'));
      console.log('up');
    `);
    const said = textOf(child.stdout);
    const ended = once(child, 'exit');
    await once(child.stdout, 'readable');
    child.kill(signal);
    assert.deepEqual(await ended, [0, null]);
    assert.equal(await said, 'up\nstopped\n');
  });

test('the compile cache is on before anything else is loaded, and the log has the name of the process', async () => {
  const child = start(`
    const { getCompileCacheDir } = await import('node:module');
    const { log } = await processParts('tester');
    log.info({ hasCache: getCompileCacheDir() !== undefined }, 'up');
  `);
  const { component, hasCache, msg } = JSON.parse(await textOf(child.stdout));
  assert.deepEqual([component, hasCache, msg], ['tester', true, 'up']);
});
