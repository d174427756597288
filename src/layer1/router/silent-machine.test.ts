// What becomes of requests that wait for a machine that says nothing: HAProxy is scripted here; test/zx-routers has a real one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '#core/config';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import type { Instance } from '#layer0/discovery/client';
import { proxyPaths, routerSettings } from './config.ts';
import { noSlots } from './decide/slots.ts';
import type { WorkerState } from './decide/state.ts';
import { makeTable, planRoutes } from './decide/table.ts';
import { type Desired, type EndConnections, Worker } from './worker.ts';

const settings = readConfig(routerSettings, {
  GANTRY_HOME: '/nowhere',
  GANTRY_HOST_ID: 'host-1',
  PORT: '0',
});
const name = '1.web.shop:job-1';
const end = `shutdown sessions server b1/${name}`;

function desired(): Desired {
  const service = 'web.shop';
  const instance: Instance = {
    id: '1.web.shop',
    service,
    job: 'job-1',
    address: '10.64.0.3',
    port: 8080,
    ports: {},
    state: 'up',
    host: 'host-2',
    createdAt: 1,
    metadata: {},
  };
  const route = { id: 'rte-1', app: 'app-1', appName: 'shop', service, domain: 'shop.test' };
  const flags = { sendsProxyProtocol: false, redirectsToHttps: false, isSystem: false };
  const routes = [{ ...route, ...flags, type: 'http' as const, createdAt: 1 }];
  const tcpPorts = { min: 3000, max: 3010 };
  const plan = planRoutes({ host: 'host-1', routes, slots: noSlots, spares: 4, tcpPorts });
  const table = makeTable(plan, new Map([[service, [instance]]]));
  return { table, certificates: { byPath: new Map() }, shape: 's' };
}

function state(): WorkerState {
  return {
    pid: 1,
    shape: 's',
    isStopping: false,
    backends: new Set(['b1']),
    routes: new Map(),
    services: new Map(),
    servers: new Map(),
    certificates: new Map(),
  };
}

/** One pass over a worker whose only server has been silent for so long; answers what it was told about it. */
async function pass(silentS: number, endConnections: EndConnections): Promise<string[]> {
  const told: string[] = [];
  const stat = ['b1', name, 0, 0, 3, ...Array(12).fill(0), 'DOWN', 1, 1, 0, 0, 0, silentS]
    .concat(Array(12).fill(0), 'L4TOUT', 0)
    .join(',');
  const usable = ['b1', 'BACKEND', ...Array(18).fill(0)].join(',');
  const run = async (commands: readonly string[]) =>
    commands.map((command) => {
      if (command === 'show stat -1 2 -1') return usable;
      if (command === 'show stat b1 4 -1') return stat;
      if (command.startsWith('shutdown')) told.push(command);
      return '';
    });
  const paths = proxyPaths(settings.home);
  const parts = { settings, paths, clock: new FakeClock(), log: silentLog };
  await new Worker({ channel: { run }, endConnections, ...parts }).bring(desired(), state());
  return told;
}

test('the connections are ended, so that HAProxy sends again elsewhere what may be sent twice', async () => {
  const ended: string[] = [];
  const endConnections = async (address: string) => ended.push(address);
  assert.deepEqual(await pass(3, endConnections), []);
  assert.deepEqual(ended, [], 'not in a pause of the link');
  assert.deepEqual(await pass(4, endConnections), [], 'HAProxy itself would send nothing again');
  assert.deepEqual(ended, ['10.64.0.3']);
});

test('where no connection can be ended, the requests are, and do not wait for minutes', async () => {
  assert.deepEqual(await pass(4, async () => 0), [end], 'the kernel cannot');
  const away = async () => {
    throw new Error('the host daemon is away');
  };
  assert.deepEqual(await pass(4, away), [end]);
});
