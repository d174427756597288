// The store on etcd: commits a second of 64 writers, 256-byte values, and watch latency with 1,000 watchers, against the same
// etcd used raw, through its own HTTP gateway, in the same run.

import { systemClock } from '#core/clock';
import { createHttpClient, type HttpClient } from '#core/http-client';
import { fromNdjson } from '#core/stream';
import type { Store } from '#layer0/store/client';
import { EtcdCluster, etcdVersion } from '../test/store/etcd-cluster.ts';
import { resultOf } from './measure.ts';
import type { BenchResult } from './result.ts';

const writers = 64;
/** Watchers that connect at a time. */
const connectStep = 200;
const value = 'v'.repeat(256);
const watchTargetMs = 50;

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult[]> {
  const version = etcdVersion();
  if (version === undefined) throw new Error('etcd is not installed');
  const cluster = new EtcdCluster({ size: 1 });
  try {
    await cluster.start();
    const [baseUrl = ''] = cluster.endpoints;
    const store = await cluster.open();
    const http = createHttpClient({ baseUrl });
    const peer = `etcd ${version}, its HTTP gateway`;
    const sizes = { puts: tiny ? 128 : 4_000, pairs: tiny ? 1 : 5 };
    const watchSizes = { watchers: tiny ? 20 : 1_000, commits: tiny ? 5 : 50 };
    const results = [
      await benchPuts(store, http, { ...sizes, peer }),
      await benchWatch(store, http, { ...watchSizes, peer }),
    ];
    await store.close();
    http.close();
    return results;
  } finally {
    await cluster.stop();
  }
}

const encode = (text: string) => Buffer.from(text).toString('base64');

const put = (store: Store, key: string) =>
  store.txn({ compare: [], operations: [{ put: key, value }] });

const putRaw = (http: HttpClient, key: string) =>
  http.json('POST', '/v3/kv/put', { body: { key: encode(key), value: encode(value) } });

/** Runs `count` calls over all writers; calls a second. */
async function rate(count: number, call: (key: string) => Promise<unknown>): Promise<number> {
  let next = 0;
  const started = performance.now();
  const write = async () => {
    while (next < count) await call(`bench/${next++ % 1_000}`);
  };
  await Promise.all(Array.from({ length: Math.min(writers, count) }, write));
  return (1_000 * count) / (performance.now() - started);
}

async function benchPuts(
  store: Store,
  http: HttpClient,
  { pairs, puts, peer }: { pairs: number; puts: number; peer: string },
): Promise<BenchResult> {
  const measured: { ours: number; peer: number }[] = [];
  for (let pair = 0; pair < pairs; pair++)
    measured.push({
      peer: await rate(puts, (key) => putRaw(http, key)),
      ours: await rate(puts, (key) => put(store, key)),
    });
  return resultOf({
    name: 'store on etcd: one put per commit',
    unit: 'commits/s',
    peer,
    target: '>= 1x',
    pairs: measured,
    isMet: ({ ratio }) => ratio >= 1,
  });
}

/** Follows `watched/`; calls `onKey` for each key that is put, until the signal fires. */
type Follow = (onKey: (key: string) => void, signal: AbortSignal) => Promise<void>;

async function benchWatch(
  store: Store,
  http: HttpClient,
  { watchers, commits, peer }: { watchers: number; commits: number; peer: string },
): Promise<BenchResult> {
  const { revision: from } = await put(store, 'watched/start');
  const ours: Follow = async (onKey, signal) => {
    for await (const { events } of store.watch('watched/', { from, signal }))
      for (const { key } of events) onKey(key);
  };
  const figures = [];
  for (const follow of [
    (...args: Parameters<Follow>) => followRaw(http, from.revision, ...args),
    ours,
  ])
    figures.push(await latencyP99(follow, (key) => put(store, key), { watchers, commits }));
  const [peerMs = Number.NaN, oursMs = Number.NaN] = figures;
  return resultOf({
    name: `store on etcd: watch latency p99, ${watchers} watchers`,
    unit: 'ms',
    peer,
    target: `<= ${watchTargetMs} ms`,
    pairs: [{ ours: oursMs, peer: peerMs }],
    isMet: ({ figure }) => figure <= watchTargetMs,
    note: 'all watchers of a run share one process with the writer',
  });
}

async function followRaw(
  http: HttpClient,
  from: number,
  onKey: (key: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const create_request = {
    key: encode('gantry/data/watched/'),
    range_end: encode('gantry/data/watched0'),
    start_revision: String(from + 1),
  };
  type Line = { result: { events?: { kv: { key: string } }[] } };
  try {
    const answer = await http.raw('POST', '/v3/watch', { body: { create_request }, signal });
    for await (const { result } of fromNdjson<Line>(answer))
      for (const { kv } of result.events ?? [])
        onKey(Buffer.from(kv.key, 'base64').toString().slice('gantry/data/'.length));
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** From before a commit is sent until each watcher has seen it, milliseconds, the 99th of 100. */
async function latencyP99(
  follow: Follow,
  commit: (key: string) => Promise<unknown>,
  { watchers, commits }: { watchers: number; commits: number },
): Promise<number> {
  const stop = new AbortController();
  const failed = Promise.withResolvers<never>();
  const reading: Promise<void>[] = [];
  let expected = '';
  let sentAt = 0;
  let seen: number[] = [];
  let number = 0;
  const onKey = (key: string) => {
    if (key === expected) seen.push(performance.now() - sentAt);
  };
  const next = async () => {
    expected = `watched/${process.pid}/${reading.length}/${number++}`;
    seen = [];
    sentAt = performance.now();
    await commit(expected);
    while (seen.length < reading.length) await systemClock.sleep(1);
    return seen;
  };
  const measure = async () => {
    while (reading.length < watchers) {
      const joining = Math.min(connectStep, watchers - reading.length);
      for (let index = 0; index < joining; index++)
        reading.push(follow(onKey, stop.signal).catch(failed.reject));
      await next();
    }
    const all: number[] = [];
    for (let round = 0; round < commits; round++) all.push(...(await next()));
    return all.sort((a, b) => a - b);
  };
  const latencies = await Promise.race([measure(), failed.promise]);
  stop.abort();
  await Promise.all(reading);
  return latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN;
}
