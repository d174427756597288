// Is a rendered file whole, written once for a burst of changes, and its reader always told in the end?

import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '#core/clock';
import { silentLog } from '#core/log';
import { systemRandom } from '#core/random';
import { createMemoryStore } from '#layer0/store/fake';
import { createDiscovery } from './client.ts';
import { createDnsTable } from './dns-table.ts';
import { anInstance } from './fake.ts';
import { createRenderer, type RendererOptions } from './render.ts';
import { type DnsTable, routerSuffixesKey } from './wire.ts';

const deps = { clock: systemClock, random: systemRandom, log: silentLog };
const folder = await mkdtemp(join(tmpdir(), 'gantry-render-'));
after(() => rm(folder, { recursive: true }));

async function until(what: string, isDone: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 5_000;
  while (!(await isDone())) {
    if (Date.now() > end) assert.fail(`within 5 s not true: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function aRenderer(name: string, options: Partial<RendererOptions>) {
  const path = join(folder, name);
  const renderer = createRenderer(deps, {
    path,
    render: () => 'x',
    watch: () => () => undefined,
    ...options,
  });
  return { path, renderer };
}

test('a burst of changes is one write and one reload, of the last state', async () => {
  let state = 0;
  const reloads: string[] = [];
  const { path, renderer } = aRenderer('burst', {
    render: () => `state ${state}`,
    reload: async () => void reloads.push(await readFile(path, 'utf8')),
  });
  renderer.start();
  await until('first write', () => reloads.length === 1);
  for (state = 1; state < 500; state++) renderer.trigger();
  renderer.trigger();
  await until('the last state', () => reloads.at(-1) === 'state 500');
  assert.ok(renderer.status().writes <= 3, `${renderer.status().writes} writes`);
  renderer.trigger();
  await until('a look', () => renderer.status().loop.isRunning === false);
  assert.equal(reloads.filter((text) => text === 'state 500').length, 1);
  await renderer.stop();
  assert.deepEqual(await readdir(folder), ['burst'], 'nothing half-written stays');
});

test('a reload that failed is owed until it works', async () => {
  let tries = 0;
  const { renderer } = aRenderer('owed', {
    reload: async () => {
      if (++tries < 3) throw new Error('not now');
    },
  });
  renderer.start();
  await until('third try', () => tries === 3);
  await until('at rest', () => renderer.status().loop.failuresInRow === 0);
  assert.equal(renderer.status().writes, 1);
  await renderer.stop();
});

test('with nothing known yet the file of the last run stays', async () => {
  const first = aRenderer('kept', { render: () => 'good' });
  first.renderer.start();
  await until('written', () => first.renderer.status().writes === 1);
  await first.renderer.stop();
  const second = aRenderer('kept', { render: () => undefined });
  second.renderer.start();
  await until('looked', () => second.renderer.status().loop.runs > 0);
  assert.equal(await readFile(second.path, 'utf8'), 'good');
  await second.renderer.stop();
});

// It looks by itself every 10 s: what is there sooner came by a watch.
test('the table of names follows discovery, the networks and the router as they change', async () => {
  const store = createMemoryStore();
  const discovery = createDiscovery({ ...deps, store });
  const path = join(folder, 'table.json');
  const listeners = [{ address: '10.64.0.1', subnet: '10.64.0.0/24', app: 'shop' }];
  const table = createDnsTable(
    {
      ...deps,
      discovery,
      store,
      watchListeners: (callback) => {
        callback(listeners);
        return () => undefined;
      },
    },
    { path, domain: 'gantry', routerSuffix: 'b.test' },
  );
  table.start();
  const read = async () => JSON.parse(await readFile(path, 'utf8')) as DnsTable;
  await until('written', () => table.status().writes === 1);
  assert.deepEqual((await read()).listeners, listeners);
  await discovery.register(anInstance(1));
  await until('known', async () => 'web.shop' in (await read()).services);
  assert.deepEqual((await read()).routerSuffixes, ['b.test']);
  const tell = (suffixes: string[]) =>
    store.txn({ compare: [], operations: [{ put: routerSuffixesKey, value: { suffixes } }] });
  await tell(['a.test', 'b.test']);
  await until('a suffix more', async () => (await read()).routerSuffixes.length === 2);
  assert.deepEqual((await read()).routerSuffixes, ['b.test', 'a.test']);
  await tell(['b.test']);
  await until('one less', async () => (await read()).routerSuffixes.length === 1);
  await table.stop();
  await discovery.close();
});
