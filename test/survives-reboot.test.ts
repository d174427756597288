// What is there after the machine lost its power and came back? Everything: apps answer without anyone doing anything, with
// their releases, config, routes, log history and git repositories, and a deploy goes on from there.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Platform, sampleFiles } from './cluster/platform.ts';
import { untilPlatformWorks } from './cluster/system.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();
const { machine } = platform;
const app = 'reboots';
const domain = 'elsewhere.gantry.localhost';
/** Says its release and what is configured; its start is one line of its log. */
const server = `import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
const { GANTRY_RELEASE, KEPT, PORT } = process.env;
console.log('started ' + GANTRY_RELEASE);
const body = readFileSync('RELEASE', 'utf8') + ' ' + KEPT;
createServer((request, response) => response.end(body)).listen(PORT);`;

async function push(release: string): Promise<void> {
  const sample = await sampleFiles(release);
  const { code, stderr } = await platform.push(app, { ...sample, 'server.js': server });
  assert.equal(code, 0, stderr);
}

/** What was kept, as a program reads it. */
async function readKept() {
  const [releases, routes, env] = await Promise.all(
    ['release', 'route', 'env'].map((what) => platform.gantryJson<unknown>(what, '-a', app)),
  );
  const running = Object.keys(await platform.containers(app)).sort();
  return { releases, routes, env, running };
}

describe('a machine that loses its power', () => {
  before(async () => {
    await untilPlatformWorks(platform);
    await platform.deleteApp(app);
    await push('first');
    await platform.gantry('env', 'set', '-a', app, 'KEPT=kept');
    await platform.gantry('route', 'add', 'http', domain, '-a', app);
    await platform.gantry('scale', '-a', app, 'web=2');
    await platform.untilAnswers(app, 'first kept');
  });
  after(async () => {
    if (!machine.isOn) await machine.reboot();
    await untilPlatformWorks(platform);
    await platform.deleteApp(app);
  });

  for (const round of ['first', 'second']) {
    test(`has everything again when it is back, the ${round} time, and takes the next push`, async (t) => {
      const before = await readKept();
      await machine.powerOff();
      await assert.rejects(platform.ask(app));
      await machine.powerOn();
      const startMs = performance.now();
      await machine.startDocker();
      const engineMs = Math.round(performance.now() - startMs);
      await platform.untilAnswers(app, `${round} kept`);
      const appMs = Math.round(performance.now() - startMs);
      await platform.untilAnswers('hello');
      await untilPlatformWorks(platform);
      t.diagnostic(`the engine answered after ${engineMs} ms, the app after ${appMs} ms`);
      await waitFor('both instances to run', async () => {
        return Object.keys(await platform.containers(app)).length === before.running.length;
      });
      assert.deepEqual(await readKept(), before);
      const elsewhere = await platform.ask(app, { headers: { host: domain } });
      assert.equal(elsewhere.body, `${round} kept`);
      const said = await platform.gantry('log', '-a', app, '-n', '1000', '--raw');
      assert.match(said, /started v1\b/, 'lines of containers that are long gone');
      await push('second');
      await platform.untilAnswers(app, 'second kept');
    });
  }
});
