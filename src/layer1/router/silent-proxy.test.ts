// What the router makes of a HAProxy that does not answer: it may be dead, or slow to start on a busy machine.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readConfig } from '#core/config';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { routerSettings } from './config.ts';
import { type PassInputs, TableDriver } from './router.ts';

test('a proxy that does not answer is waited for, then not, and its folder stays its own', async () => {
  const home = await mkdtemp(join(tmpdir(), 'gantry-router-'));
  const folder = join(home, 'proxy/run/aaaaaaaa');
  await mkdir(folder, { recursive: true });
  for (const name of ['maps', 'errors', 'certs']) await mkdir(join(home, 'proxy', name));
  // As a socket that is bound and not listened on: connections are refused.
  for (const name of ['master.sock', 'stats.sock']) await writeFile(join(folder, name), '');
  const env = { GANTRY_HOME: home, GANTRY_HOST_ID: 'host-1', PORT: '0' };
  const clock = new FakeClock();
  const driver = new TableDriver({
    settings: readConfig(routerSettings, env),
    openSealed: async (_context, sealed) => sealed,
    endConnections: async () => 0,
    clock,
    log: silentLog,
  });
  const inputs = { routes: [], certificates: [], directory: { services: new Map() } };
  const pass = async () => (await driver.pass(inputs as unknown as PassInputs)).isApplied;
  try {
    assert.equal(await pass(), false, 'it may be about to serve with an older table');
    await clock.advance(10_000);
    assert.equal(await pass(), false, 'a busy machine is slow');
    await clock.advance(30_000);
    assert.equal(await pass(), true, 'it was killed: drains do not wait for it');
    assert.ok(existsSync(folder), 'should it live after all, it must be found');
  } finally {
    await rm(home, { recursive: true });
  }
});
