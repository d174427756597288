// Does it matter at which of two machines a person, or a program, asks? The API, a push, a terminal and the log answer at the
// router of the one that has neither controller nor git-receiver, and for jobs on both.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { JobView } from '#layer1/controller/client';
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
    const folder = `/tmp/push-${app}`;
    await first.must(`mkdir -p ${folder} && cd ${folder} && git init -q && gantry create ${app}`);
    // How long an image takes to the other machine is not asked here.
    await platform.gantry('scale', 'web=0', '-a', app);
    const made = await platform.push(app, files);
    assert.equal(made.code, 0, made.stderr);
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
    assert.match(push.stderr, /v2 of anywhere was made/);
  });

  test('shows what an app says on both', async () => {
    await platform.tryGantry('scale', 'web=2', '-a', app);
    const isOnEach = async () => {
      const all = await platform.gantryJson<JobView[]>('ps', '-a', app);
      const up = all.filter(({ type, isHealthy }) => type === 'web' && isHealthy);
      return new Set(up.map(({ host }) => host)).size === 2 && up;
    };
    const jobs = await waitFor('an instance on each machine', isOnEach, { timeoutMs: 300_000 });
    const ask = `curl -sS -m 10 -H 'Host: ${app}.gantry.localhost' http://${second.address}/hello`;
    const all = jobs.map(({ name }) => `${name} was asked for /hello`);
    let log = '';
    const isWhole = async () => {
      await first.must(ask);
      log = await first.must(`${there} gantry log -a ${app}`);
      return all.every((line) => log.includes(line));
    };
    await waitFor('the log to have lines of both', isWhole, { seen: () => log });
  });

  test('is where a person may sit: terminals of one-offs on both machines', async () => {
    const open = () =>
      new Terminal(first, `${there} gantry run -a ${app} bash; echo ended-$?`, {
        rows: 30,
        cols: 100,
      });
    const terminals = [open(), open()];
    for (const terminal of terminals) await terminal.shows('$ ');
    const jobs = await platform.gantryJson<JobView[]>('ps', '-a', app);
    const places = new Set(jobs.filter(({ type }) => type === 'run').map(({ host }) => host));
    assert.equal(places.size, 2, 'one-offs are spread over the machines');
    for (const terminal of terminals) {
      terminal.press('stty size; exit 7\n');
      await terminal.shows('30 100');
      await terminal.shows('ended-7');
      assert.equal(await terminal.ends(), 0);
    }
  });
});
