// How long after a change of instances the first request by the new table is answered, with 1,000 apps of 3 instances,
// against what a reload of the same HAProxy takes.

import { join } from 'node:path';
import { systemClock } from '#core/clock';
import { createLog } from '#core/log';
import type { Instance } from '#layer0/discovery/client';
import { askOnce, socketChannel } from '#layer1/router/act/runtime-socket';
import { parseInfo } from '#layer1/router/decide/state';
import { TableDriver } from '#layer1/router/router';
import type { Route } from '#layer1/router/wire';
import { type Backend, startBackend } from '../test/router/backend.ts';
import { Harness, waitFor } from '../test/router/harness.ts';
import type { BenchResult } from './result.ts';
import { median, quantile, round } from './router/pairs.ts';

interface Bed {
  harness: Harness;
  backend: Backend;
  services: Map<string, Instance[]>;
  pass(): Promise<void>;
}

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult> {
  const [apps, changes, reloads] = tiny ? [20, 10, 2] : [1_000, 200, 7];
  await using harness = await Harness.create({ spareBackends: 1024 });
  await harness.startProxy();
  const bed = await fill(harness, apps);
  const first = [];
  for (let change = 0; change < changes; change++) first.push(await firstHit(bed, change % apps));
  const peer = [];
  for (let count = 0; count < reloads; count++) peer.push(await reload(harness));
  const [p50, p99] = [median(first), quantile(first, 0.99)];
  await bed.backend.kill();
  const ratios = peer.map((ms) => p50 / ms);
  return {
    name: 'route-change',
    figure: round(p50),
    unit: 'ms to the first hit, p50',
    peer: `a reload of HAProxy with the same ${apps} apps`,
    peerFigure: round(median(peer)),
    ratio: round(p50 / median(peer), 4),
    target: 'p50 <= 5 ms, p99 <= 20 ms, <= 1/20 of a reload',
    isMet: p50 <= 5 && p99 <= 20 && p50 <= median(peer) / 20,
    min: round(Math.min(...ratios), 4),
    max: round(Math.max(...ratios), 4),
    pairs: reloads,
    note: `p99 ${round(p99)} ms, max ${round(Math.max(...first))} ms of ${changes} changes`,
  };
}

/** The router's driver on a table of this size; instances share one port, as far as HAProxy can tell they differ. */
async function fill(harness: Harness, apps: number): Promise<Bed> {
  const backend = await startBackend({ name: 'first' });
  const services = new Map<string, Instance[]>();
  const routes: Route[] = [];
  for (let app = 0; app < apps; app++) {
    const service = `web.app${app}`;
    routes.push({
      id: `rte-${app}`,
      app: `app-${app}`,
      appName: `app${app}`,
      service,
      type: 'http',
      domain: `app${app}.test`,
      sendsProxyProtocol: false,
      redirectsToHttps: false,
      isSystem: false,
      createdAt: app,
    });
    services.set(
      service,
      [1, 2, 3].map((index) => anInstance(service, index, `job-${app}-${index}`, backend.port)),
    );
  }
  const driver = new TableDriver({
    settings: harness.config,
    openSealed: async (_context, sealed) => sealed,
    clock: systemClock,
    log: createLog('bench', 'silent'),
  });
  let revision = 1;
  const pass = async () => {
    const directory = {
      revision: { incarnation: 'bench', revision: revision++ },
      services: new Map(services),
    };
    await driver.pass({ routes, certificates: [], directory });
  };
  await pass();
  await pass();
  await harness.answers('app0.test');
  return { harness, backend, services, pass };
}

function anInstance(service: string, index: number, job: string, port: number): Instance {
  return {
    id: `${index}.${service}`,
    service,
    job,
    address: '127.0.0.1',
    port,
    ports: {},
    state: 'up',
    host: 'host-1',
    createdAt: index,
    metadata: {},
  };
}

/** All instances of one app are replaced by a new one; the clock stops when the new one has answered. */
async function firstHit(bed: Bed, app: number): Promise<number> {
  const service = `web.app${app}`;
  const old = bed.services.get(service) ?? [];
  const fresh = await startBackend({ name: 'fresh' });
  const arrival = anInstance(service, 4, `job-${fresh.port}`, fresh.port);
  bed.services.set(service, [
    ...old.map((instance) => ({ ...instance, state: 'draining' as const })),
    arrival,
  ]);
  const startMs = performance.now();
  const pass = bed.pass();
  let tookMs = 0;
  while (tookMs === 0) {
    const { headers } = await bed.harness.get(`app${app}.test`);
    if (headers['x-instance'] === 'fresh') tookMs = performance.now() - startMs;
  }
  await pass;
  bed.services.set(service, old);
  await bed.pass();
  await fresh.kill();
  return tookMs;
}

/** From the order to reload until the new worker answers. */
async function reload(harness: Harness): Promise<number> {
  const [folder = ''] = await harness.runFolders();
  const run = join(harness.home, 'proxy/run', folder);
  const channel = socketChannel(join(run, 'stats.sock'));
  const pid = async () => parseInfo((await channel.run(['show info']))[0] ?? '').pid;
  const before = await pid();
  const startMs = performance.now();
  await askOnce(join(run, 'master.sock'), 'reload').catch(() => undefined);
  await waitFor('the new worker', async () => (await pid()) !== before);
  const tookMs = performance.now() - startMs;
  // The master listens again a moment later.
  await waitFor('the master', () => askOnce(join(run, 'master.sock'), 'show proc'));
  return tookMs;
}

if (import.meta.main)
  console.log(JSON.stringify(await run({ tiny: process.argv.includes('--tiny') })));
