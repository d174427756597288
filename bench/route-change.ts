// How long after a change of instances is committed the first request by the new table is answered, with 1,000 apps of
// 3 instances, against a reload of the same HAProxy. Store, router, instances and client are processes of their own.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { systemClock } from '#core/clock';
import { createHttpServer, type HttpServer, listenUnix } from '#core/http-server';
import { silentLog } from '#core/log';
import { type Instance, instanceKey } from '#layer0/discovery/wire';
import { registerStoreRoutes } from '#layer0/store/http';
import type { Operation } from '#layer0/store/wire';
import { askOnce, socketChannel } from '#layer1/router/act/runtime-socket';
import { parseInfo, parseWorkers } from '#layer1/router/decide/state';
import { type Route, routeKey } from '#layer1/router/wire';
import { Harness, waitFor } from '../test/router/harness.ts';
import type { BenchResult } from './result.ts';
import { Asker, sharedMs } from './router/asker.ts';
import { type Instances, startInstances } from './router/instances.ts';
import { median, quantile, round } from './router/pairs.ts';

interface Bed {
  harness: Harness;
  instances: Instances;
  asker: Asker;
}

interface Change {
  hitMs: number;
  appliedMs: number;
  failed: number;
}

const perTransaction = 100;

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult> {
  const [apps, perPair, pairs] = tiny ? [20, 3, 2] : [1_000, 30, 7];
  await using harness = await Harness.create({ spareBackends: 1024 });
  await harness.startProxy();
  const instances = await startInstances(harness.home);
  await fill(harness, instances.port, apps);
  const server = await serveStore(harness);
  const router = startRouter(harness);
  const asker = new Asker();
  try {
    await harness.answers(`app${apps - 1}.test`);
    const bed = { harness, instances, asker };
    const changes: Change[][] = [];
    const reloads: number[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      // The first looks at a worker that is new.
      await change(bed, pair % apps);
      const block: Change[] = [];
      for (let count = 0; count < perPair; count++)
        block.push(await change(bed, (7 * pair + 31 * count) % apps));
      changes.push(block);
      reloads.push(await reload(harness));
    }
    return summary(apps, changes, reloads);
  } finally {
    await asker.stop();
    const ended = once(router, 'exit');
    router.kill();
    await ended;
    await server.close();
    instances.stop();
  }
}

function summary(apps: number, blocks: Change[][], reloads: number[]): BenchResult {
  const all = blocks.flat();
  const hits = all.map(({ hitMs }) => hitMs);
  const [p50, p99] = [median(hits), quantile(hits, 0.99)];
  const failed = all.reduce((sum, change) => sum + change.failed, 0);
  const ratios = blocks.map(
    (block, pair) => median(block.map(({ hitMs }) => hitMs)) / (reloads[pair] ?? Number.NaN),
  );
  const ratio = median(ratios);
  return {
    name: 'route-change',
    figure: round(p50),
    unit: 'ms from the commit to the first hit, p50',
    peer: `a reload of HAProxy with the same ${apps} apps`,
    peerFigure: round(median(reloads)),
    ratio: round(ratio, 4),
    target: 'p50 <= 5 ms, p99 <= 20 ms, <= 1/20 of a reload, 0 requests dropped',
    isMet: p50 <= 5 && p99 <= 20 && ratio <= 1 / 20 && failed === 0,
    min: round(Math.min(...ratios), 4),
    max: round(Math.max(...ratios), 4),
    pairs: reloads.length,
    note: `p99 ${round(p99)} ms, max ${round(Math.max(...hits))} ms of ${all.length} changes, ${failed} requests dropped; drains go on after ${round(median(all.map(({ appliedMs }) => appliedMs)))} ms (p50)`,
  };
}

/** Routes and instances of all apps, before there is a router. */
async function fill(harness: Harness, port: number, apps: number): Promise<void> {
  const operations: Operation[] = [];
  for (let app = 0; app < apps; app++) {
    const service = `web.app${app}`;
    const route: Route = {
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
    };
    operations.push({ put: routeKey(route.id), value: route });
    for (const index of [1, 2, 3]) operations.push(put(anInstance(app, index, port)));
  }
  for (let start = 0; start < operations.length; start += perTransaction) {
    const part = operations.slice(start, start + perTransaction);
    await harness.store.txn({ compare: [], operations: part });
  }
}

/** The fourth is the one that comes new. Each has an address of its own, as containers have. */
function anInstance(app: number, index: number, port: number): Instance {
  const service = `web.app${app}`;
  return {
    id: `${index}.${service}`,
    service,
    job: `job-${app}-${index}`,
    address: `127.${index}.${app >> 8}.${app & 255}`,
    port,
    ports: { http: port },
    state: 'up',
    host: 'host-test',
    createdAt: index,
    metadata: {},
  };
}

const keyOf = ({ service, job = '' }: Instance) => instanceKey(service, job);
const put = (instance: Instance): Operation => ({ put: keyOf(instance), value: instance });

/** As the host daemon serves it: over its unix socket. */
async function serveStore(harness: Harness): Promise<HttpServer> {
  const server = createHttpServer({ log: silentLog });
  registerStoreRoutes(server, harness.store, { clock: systemClock });
  await listenUnix(server, join(harness.home, 'run/host.sock'));
  return server;
}

function startRouter({ home, config }: Harness): ChildProcess {
  const program = join(import.meta.dirname, '../bin/gantry-router.ts');
  const env = {
    ...process.env,
    GANTRY_HOME: home,
    GANTRY_HOST_URL: `unix:${join(home, 'run/host.sock')}`,
    GANTRY_HOST_ID: config.hostId,
    GANTRY_ROUTER_BIND: config.bindAddresses,
    GANTRY_HTTP_PORT: String(config.httpPort),
    GANTRY_HTTPS_PORT: String(config.httpsPort),
    GANTRY_ROUTER_SPARE_BACKENDS: String(config.spareBackends),
    PORT: '0',
  };
  return spawn(process.execPath, [program], { env, stdio: ['ignore', 'ignore', 'inherit'] });
}

/** All instances of one app are replaced by a new one, and afterwards put back. */
async function change({ harness, instances, asker }: Bed, app: number): Promise<Change> {
  const old = [1, 2, 3].map((index) => anInstance(app, index, instances.port));
  const fresh = anInstance(app, 4, instances.port);
  const question = { port: harness.port, host: `app${app}.test`, instance: fresh.address };
  const { hit } = await asker.begin(question);
  const startMs = sharedMs();
  const leaving = old.map((instance) => put({ ...instance, state: 'draining' as const }));
  await commit(harness, [...leaving, put(fresh)]);
  const appliedMs = sharedMs() - startMs;
  const { atMs, failed } = await hit;
  await commit(harness, [...old.map(put), { delete: keyOf(fresh) }]);
  return { hitMs: atMs - startMs, appliedMs, failed };
}

/** Resolves when the router has said that it has applied this. */
async function commit({ store, discovery }: Harness, operations: Operation[]): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { revision } = await store.txn({ compare: [], operations });
  const look = () => {
    const [router] = discovery.consumers();
    if (router && router.appliedRevision >= revision.revision) resolve();
  };
  const stop = discovery.watchConsumers(look);
  look();
  await promise;
  stop();
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
  await waitFor('the old worker to end', async () => {
    const { old } = parseWorkers(await askOnce(join(run, 'master.sock'), 'show proc'));
    return old.length === 0;
  });
  return tookMs;
}

if (import.meta.main)
  console.log(JSON.stringify(await run({ tiny: process.argv.includes('--tiny') })));
