// Does it matter at which of two machines a person, or a program, asks? The API, a push, a terminal and the log answer at the
// router of the one that has neither controller nor git-receiver, and for jobs on both.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Bed } from './cluster/bed.ts';
import type { Machine } from './cluster/machine.ts';
import { Platform } from './cluster/platform.ts';
import { Terminal } from './cluster/terminal.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();
const { machine: first } = platform;
const app = 'anywhere';
const files = {
  'package.json': JSON.stringify({ name: app, scripts: { start: 'node server.js' } }),
  Procfile: 'web: node server.js\n',
  'server.js': `
    const name = process.env.GANTRY_PROCESS;
    require('node:http').createServer((request, response) => {
      console.log(name + ' was asked for ' + request.url);
      response.end(name);
    }).listen(process.env.PORT);
  `,
};

let bed: Bed;
let second: Machine;
/** Environment of `gantry` on the first machine that sends it through the router of the second. */
let there: string;
let token: string;

before(async () => {
  bed = await Bed.of(2);
  second = bed.machines[1] as Machine;
  await platform.deleteApp(app);
  const path = join(first.root, 'root/.config/gantry/config.json');
  const { current, clusters } = JSON.parse(await readFile(path, 'utf8'));
  token = clusters[current].token;
  there = `GANTRY_URL=http://api.gantry.localhost GANTRY_TOKEN=${token} GANTRY_ADDRESS=${second.address}`;
});

after(() => platform.deleteApp(app));

describe('the router of any machine', () => {
  test('answers for the API, and takes a push', async () => {
    await platform.push(app, files);
    await waitFor('the API to answer there', async () => {
      const said = await first.sh(`${there} gantry apps`);
      return said.code === 0 && said.stdout.includes(app);
    });
    const url = `http://x:${token}@${second.address}/${app}.git`;
    const commit = 'git -c user.name=t -c user.email=t@localhost commit -qm again --allow-empty';
    const host = `-c http.extraHeader='Host: git.gantry.localhost'`;
    const push = await first.sh(
      `cd /tmp/push-${app} && ${commit} && git ${host} push '${url}' HEAD:main`,
      { timeoutMs: 300_000 },
    );
    assert.equal(push.code, 0, push.stderr);
    assert.match(push.stderr, /Release v2 of anywhere is running/);
  });

  test('is where a person may sit: a one-off in a terminal', async () => {
    const line = `${there} gantry run -a ${app} bash; echo ended-$?`;
    const terminal = new Terminal(first, line, { rows: 30, cols: 100 });
    await terminal.shows('$ ');
    terminal.press('stty size; exit 7\n');
    await terminal.shows('30 100');
    await terminal.shows('ended-7');
    assert.equal(await terminal.ends(), 0);
  });
});
