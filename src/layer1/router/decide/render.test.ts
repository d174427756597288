// The whole configuration against a golden file, and HAProxy's own opinion of it where HAProxy is installed.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readConfig } from '#core/config';
import { proxyPaths, routerSettings } from '../config.ts';
import { checkEveryMs, paceOption } from './commands.ts';
import { renderConfig, renderPages, renderRoutesMap, shapeOf } from './render.ts';
import { noSlots, renderServicesMap } from './slots.ts';
import { makeTable, planRoutes } from './table.ts';

const golden = join(import.meta.dirname, 'golden/haproxy.cfg');

function inputs(home: string, environment: Record<string, string> = {}) {
  const settings = readConfig(routerSettings, {
    GANTRY_HOME: home,
    GANTRY_HOST_ID: 'host-1',
    PORT: '1234',
    GANTRY_HTTP_PORT: '8080',
    GANTRY_HTTPS_PORT: '8443',
    GANTRY_ROUTER_SPARE_BACKENDS: '4',
    ...environment,
  });
  const route = {
    app: 'app-1',
    appName: 'shop',
    sendsProxyProtocol: false,
    redirectsToHttps: false,
    isSystem: false,
    createdAt: 1,
  };
  const web = {
    ...route,
    id: 'rte-1',
    service: 'web.shop',
    type: 'http',
    domain: 'shop.test',
  } as const;
  const database = { ...route, id: 'rte-2', service: 'db.shop', type: 'tcp', port: 3000 } as const;
  const instance = {
    id: '1.web.shop',
    service: 'web.shop',
    job: 'job-1',
    address: '10.0.0.2',
    port: 8080,
    ports: {},
    state: 'up' as 'up' | 'draining',
    host: 'host-1',
    createdAt: 1,
    metadata: {},
  };
  const leaving = { ...instance, id: '2.web.shop', job: 'job-2', state: 'draining' as const };
  const plan = planRoutes({
    host: 'host-1',
    routes: [web, { ...database, sendsProxyProtocol: true }],
    slots: noSlots,
    spares: settings.spareBackends,
    tcpPorts: { min: settings.tcpPortMin, max: settings.tcpPortMax },
  });
  const instances = new Map([
    ['web.shop', [instance, leaving]],
    ['db.shop', [{ ...instance, id: '1.db.shop', service: 'db.shop', port: 5432 }]],
  ]);
  const table = makeTable(plan, instances);
  return { settings, paths: proxyPaths(home), table, hasDefaultCertificate: false };
}

test('the configuration is the golden one', () => {
  const text = renderConfig(inputs('/home/gantry'));
  if (process.env.GANTRY_UPDATE_GOLDEN) writeFileSync(golden, text);
  assert.equal(text, readFileSync(golden, 'utf8'));
});

test('instances and services change the text but not the shape, settings and ports change both', () => {
  const before = inputs('/home/gantry');
  const { table } = before;
  const emptied = { ...before, table: { ...table, backends: new Map() } };
  assert.notEqual(renderConfig(emptied), renderConfig(before));
  assert.equal(shapeOf(emptied), shapeOf(before));
  assert.notEqual(shapeOf({ ...before, table: { ...table, tcp: [] } }), shapeOf(before));
  assert.notEqual(shapeOf({ ...before, hasDefaultCertificate: true }), shapeOf(before));
  const other = inputs('/home/gantry', { GANTRY_TRUSTED_PROXIES: '10.0.0.0/8' });
  assert.notEqual(shapeOf(other), shapeOf(before));
});

function hasHaproxy(): boolean {
  try {
    execFileSync('haproxy', ['-v'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test('thousands of servers are checked less often, and nothing is loaded again for it', () => {
  assert.deepEqual(
    [1, 1_000, 1_001, 3_000, 100_000].map((servers) => checkEveryMs(500, servers)),
    [500, 500, 1_000, 1_500, 4_000],
  );
  assert.equal(paceOption(500, 1_000), '');
  const few = inputs('/home');
  const many = { ...few, table: { ...few.table, serverCount: 3_000 } };
  assert.match(
    renderConfig(many),
    / server 1\.web\.shop:job-1 \S+ inter 1500ms downinter 1500ms$/m,
  );
  assert.equal(shapeOf(many), shapeOf(few));
});

test('HAProxy accepts it, with and without its options', {
  skip: hasHaproxy() ? false : 'haproxy is not installed',
}, () => {
  const home = mkdtempSync(join(tmpdir(), 'gantry-render-'));
  const variants = [
    {},
    { GANTRY_TRUSTED_PROXIES: '10.0.0.0/8, fd00::/8', GANTRY_ROUTER_BIND: '0.0.0.0,::' },
    { GANTRY_HTTPS_PORT: '0' },
  ];
  try {
    for (const variant of variants) {
      const given = inputs(home, variant as Record<string, string>);
      const files = Object.entries(renderPages()).map(
        ([name, text]) => [join(given.paths.errors, name), text] as const,
      );
      const all = [
        ...files,
        [given.paths.config, renderConfig(given)] as const,
        [given.paths.routesMap, renderRoutesMap(given.table)] as const,
        [given.paths.servicesMap, renderServicesMap(given.table.slots, new Map())] as const,
        [given.paths.certificateList, ''] as const,
      ];
      for (const [path, text] of all) {
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, text);
      }
      const checked = spawnSync('haproxy', ['-c', '-f', given.paths.config], {
        encoding: 'utf8',
        env: { ...process.env, PORT: '1234', GANTRY_PROXY_RUN: home },
      });
      assert.equal(checked.status, 0, checked.stderr);
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
