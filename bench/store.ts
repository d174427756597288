// Store commits and watch latency: 64 writers, 256-byte values, durable, over HTTP on loopback,
// against one etcd through its own HTTP gateway, or, where etcd is not installed, SQLite with one sync a put.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { systemClock } from '#core/clock';
import { createHttpClient } from '#core/http-client';
import { createHttpServer, listenUnix } from '#core/http-server';
import { silentLog } from '#core/log';
import { systemRandom } from '#core/random';
import { createRemoteStore, type Store } from '#layer0/store/client';
import { openSqliteStore, registerStoreRoutes } from '#layer0/store/index';
import type { BenchResult } from './result.ts';

const writers = 64;
const batchKeys = 100;
/** Watchers that connect at a time. */
const connectStep = 200;
const value = 'v'.repeat(256);
const target = { puts: 1, batches: 10, watchMs: 50 };

interface Peer {
  name: string;
  /** One durable put. */
  put(key: string): Promise<void>;
  close(): Promise<void>;
}

interface Subject {
  store: Store;
  close(): Promise<void>;
}

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult[]> {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-bench-store-'));
  const pairs = tiny ? 1 : 7;
  const puts = tiny ? 128 : 4_000;
  const peer = await openPeer(folder);
  const subject = await openSubject(folder);
  try {
    return [
      await benchPuts(subject, peer, { pairs, puts }),
      await benchBatches(subject, { pairs, batches: tiny ? 2 : 200, puts }),
      await benchWatch(subject, { watchers: tiny ? 20 : 1_000, commits: tiny ? 5 : 100 }),
    ];
  } finally {
    await subject.close();
    await peer.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs `count` calls over all writers; calls a second. */
async function rate(count: number, call: (number: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: Math.min(writers, count) }, async () => {
      while (next < count) await call(next++);
    }),
  );
  return (1_000 * count) / (performance.now() - started);
}

const put = (store: Store, key: string) =>
  store.txn({ compare: [], operations: [{ put: key, value }] });

async function benchPuts(
  { store }: Subject,
  peer: Peer,
  { pairs, puts }: { pairs: number; puts: number },
): Promise<BenchResult> {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    theirs.push(await rate(puts, (number) => peer.put(`bench/${number % 1_000}`)));
    ours.push(await rate(puts, (number) => put(store, `bench/${number % 1_000}`)));
  }
  const shape = { name: 'store: one put per request', unit: 'puts/s', peer: peer.name };
  const result = compared(shape, ours, theirs);
  return { ...result, target: `>= ${target.puts}x`, isMet: result.ratio >= target.puts };
}

async function benchBatches(
  { store }: Subject,
  { pairs, batches, puts }: { pairs: number; batches: number; puts: number },
): Promise<BenchResult> {
  const ours: number[] = [];
  const theirs: number[] = [];
  const batchOf = (number: number) =>
    Array.from({ length: batchKeys }, (_, index) => ({
      put: `batch/${(number * batchKeys + index) % 10_000}`,
      value,
    }));
  for (let pair = 0; pair < pairs; pair++) {
    theirs.push(await rate(puts, (number) => put(store, `bench/${number % 1_000}`)));
    const perSecond = await rate(batches, (number) =>
      store.txn({ compare: [], operations: batchOf(number) }),
    );
    ours.push(batchKeys * perSecond);
  }
  const shape = { name: 'store: transactions of 100', unit: 'keys/s', peer: 'one put per request' };
  const result = compared(shape, ours, theirs);
  return { ...result, target: `>= ${target.batches}x`, isMet: result.ratio >= target.batches };
}

async function benchWatch(
  { store }: Subject,
  { watchers, commits }: { watchers: number; commits: number },
): Promise<BenchResult> {
  const { revision: from } = await put(store, 'watched/start');
  const stop = new AbortController();
  const sentAt = new Map<string, number>();
  const seen: number[] = [];
  const failed = Promise.withResolvers<never>();
  const reading: Promise<void>[] = [];
  const read = async () => {
    for await (const { events } of store.watch('watched/', { from, signal: stop.signal }))
      for (const { key } of events) seen.push(performance.now() - (sentAt.get(key) ?? Number.NaN));
  };
  /** Every watcher sees every commit since the start. */
  const commit = async () => {
    const key = `watched/${sentAt.size}`;
    sentAt.set(key, performance.now());
    await put(store, key);
    while (seen.length < reading.length * sentAt.size) await systemClock.sleep(1);
  };
  const measure = async () => {
    // Connections come in steps, below the backlog of the socket; each step ends when all of them follow.
    while (reading.length < watchers) {
      const joining = Math.min(connectStep, watchers - reading.length);
      for (let index = 0; index < joining; index++) reading.push(read().catch(failed.reject));
      await commit();
    }
    const warmUp = seen.length;
    for (let number = 0; number < commits; number++) await commit();
    return seen.slice(warmUp);
  };
  const latencies = await Promise.race([measure(), failed.promise]);
  stop.abort();
  await Promise.all(reading);
  latencies.sort((a, b) => a - b);
  const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN;
  return {
    name: `store: watch latency p99, ${watchers} watchers`,
    figure: p99,
    unit: 'ms',
    peer: 'the bound',
    peerFigure: target.watchMs,
    ratio: p99 / target.watchMs,
    target: `<= ${target.watchMs} ms`,
    isMet: p99 <= target.watchMs,
    min: (latencies[0] ?? Number.NaN) / target.watchMs,
    max: (latencies.at(-1) ?? Number.NaN) / target.watchMs,
    pairs: commits,
    note: 'store and watchers share one process, one connection each',
  };
}

function compared(
  shape: { name: string; unit: string; peer: string },
  ours: number[],
  theirs: number[],
) {
  const ratios = ours
    .map((figure, index) => figure / (theirs[index] ?? Number.NaN))
    .sort(ascending);
  return {
    ...shape,
    figure: median(ours),
    peerFigure: median(theirs),
    ratio: median(ratios),
    min: ratios[0] ?? Number.NaN,
    max: ratios.at(-1) ?? Number.NaN,
    pairs: ratios.length,
  };
}

const ascending = (a: number, b: number) => a - b;

function median(values: number[]): number {
  return [...values].sort(ascending)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function openSubject(folder: string): Promise<Subject> {
  const log = silentLog;
  const path = join(folder, 'store.sock');
  const local = await openSqliteStore({ folder: join(folder, 'ours'), clock: systemClock, log });
  const server = createHttpServer({ log });
  registerStoreRoutes(server, local, { clock: systemClock });
  await listenUnix(server, path);
  const options = { baseUrl: `unix:${path}`, clock: systemClock, random: systemRandom, log };
  const store = createRemoteStore(options);
  return {
    store,
    async close() {
      await store.close();
      await server.close();
      await local.close();
    },
  };
}

function openPeer(folder: string): Promise<Peer> | Peer {
  const found = spawnSync('etcd', ['--version'], { encoding: 'utf8' });
  if (found.status !== 0) return openPlainSqlite(folder);
  const version = /etcd Version: ([\d.]+)/i.exec(found.stdout)?.[1] ?? '';
  return openEtcd(folder, version);
}

/** What one would write without a store: a table, and a sync for every put. */
function openPlainSqlite(folder: string): Peer {
  const database = new DatabaseSync(join(folder, 'plain.sqlite'));
  database.exec(`
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE entries (key TEXT PRIMARY KEY, value TEXT)
  `);
  const statement = database.prepare('INSERT OR REPLACE INTO entries VALUES (?, ?)');
  return {
    name: 'SQLite in the process, one sync a put (etcd is not installed)',
    put: async (key) => void statement.run(key, value),
    close: async () => database.close(),
  };
}

async function openEtcd(folder: string, version: string): Promise<Peer> {
  const [clientPort, peerPort] = [await freePort(), await freePort()];
  const clientUrl = `http://127.0.0.1:${clientPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const child = spawn(
    'etcd',
    [
      ...['--data-dir', join(folder, 'etcd'), '--log-level', 'error'],
      ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', `default=${peerUrl}`],
    ],
    { stdio: 'ignore' },
  );
  const http = createHttpClient({ baseUrl: clientUrl });
  const encode = (text: string) => Buffer.from(text).toString('base64');
  const putEncoded = async (key: string) => {
    await http.json('POST', '/v3/kv/put', { body: { key: encode(key), value: encode(value) } });
  };
  const deadline = performance.now() + 30_000;
  for (;;) {
    try {
      await putEncoded('ready');
      break;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await systemClock.sleep(50);
    }
  }
  return {
    name: `etcd ${version}, its HTTP gateway`,
    put: putEncoded,
    async close() {
      http.close();
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address ? address.port : 0;
}
