// How long after an instance came, turned away or went does the DNS of every machine say so, to containers that ask there?
// Each change begins on another one of three machines; the peer is the same change in the store's watch on every machine.
// On the kept machines, or on three that it makes and takes away.

import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { systemClock } from '#core/clock';
import { silentLog } from '#core/log';
import { systemRandom } from '#core/random';
import { createDiscovery, type DiscoveryClient, type Instance } from '#layer0/discovery/client';
import { createRemoteStore, type Store } from '#layer0/store/client';
import { Bed } from '../test/cluster/bed.ts';
import { withPlatform } from '../test/cluster/bring-up.ts';
import { connectApi } from '../test/cluster/load-app.ts';
import type { Machine } from '../test/cluster/machine.ts';
import { waitFor } from '../test/cluster/wait.ts';
import { median, resultOf } from './measure.ts';
import type { BenchResult } from './result.ts';
import { quantile } from './router/pairs.ts';

const app = 'bench-visible';
const service = `probe.${app}`;
const name = `${service}.service.gantry`;
/** Changes fall anywhere in what loops there are. */
const pausesMs = { min: 20, max: 120 };
const limitMs = 50;

interface Seat {
  machine: Machine;
  store: Store;
  discovery: DiscoveryClient;
  /** In a container of the app. */
  watcher: ChildProcess;
  /** What was heard last, and when. */
  dns: Heard;
  watch: Heard;
}

interface Heard {
  isThere: boolean | undefined;
  atNs: bigint;
}

/** Milliseconds until the last machine said so. */
interface Change {
  ours: number;
  peer: number;
}

export function run({ tiny }: { tiny: boolean }): Promise<BenchResult> {
  return withPlatform(() => measure(tiny ? 2 : 100));
}

async function measure(turns: number): Promise<BenchResult> {
  const bed = await Bed.of(3);
  const seats: Seat[] = [];
  try {
    await deployApp(bed);
    for (const machine of bed.machines) seats.push(await takeSeat(machine));
    await allHear(seats, false, 0n);
    const changes: Change[] = [];
    for (let turn = 0; turn < turns; turn++) {
      const { discovery } = seats[turn % seats.length] as Seat;
      // It comes, is on its way out, is back, and is gone.
      for (const state of ['up', 'draining', 'up', 'gone'] as const) {
        changes.push(await change(seats, discovery, state));
        const pauseMs = pausesMs.min + systemRandom() * (pausesMs.max - pausesMs.min);
        await systemClock.sleep(pauseMs);
      }
    }
    return await summary(changes);
  } finally {
    for (const { watcher, discovery, store } of seats) {
      watcher.kill('SIGKILL');
      await discovery.close();
      await store.close();
    }
    await bed.platform.deleteApp(app);
  }
}

/** An app with a container on every machine, for the watchers to be in. */
async function deployApp({ platform, machines }: Bed): Promise<void> {
  const api = await connectApi(platform);
  try {
    await platform.deleteApp(app);
    await api.createApp({ name: app });
    await api.scale(app, { seat: machines.length });
    const seat = { entrypoint: ['sleep', 'infinity'] };
    await api.deploy(app, { image: 'gantry/stack:latest', processes: { seat } });
  } finally {
    api.close();
  }
}

async function takeSeat(machine: Machine): Promise<Seat> {
  const deps = { clock: systemClock, random: systemRandom, log: silentLog };
  const baseUrl = `unix:${join(machine.root, 'var/lib/gantry/run/host.sock')}`;
  const store = createRemoteStore({ baseUrl, ...deps });
  const discovery = createDiscovery({ store, ...deps });
  const [dns, watch] = [unheard(), unheard()];
  const find = `docker ps -q --filter label=gantry.app-name=${app}`;
  const container = await waitFor(
    `a container of ${app} on ${machine.name}`,
    async () => (await machine.must(find)).trim().split('\n')[0] || undefined,
    { timeoutMs: 120_000, everyMs: 200 },
  );
  const script = await readFile(join(import.meta.dirname, 'visible/watcher.js'), 'utf8');
  const watcher = machine.spawn(['docker', 'exec', container, 'node', '-e', script, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (watcher.stdout)
    createInterface({ input: watcher.stdout }).on('line', (line) => {
      const [heard, atNs = '0'] = line.split(' ');
      Object.assign(dns, { isThere: heard === 'yes', atNs: BigInt(atNs) });
    });
  await discovery.ready();
  discovery.watchAll(() => {
    const isThere = discovery.instances(service).some(({ state }) => state === 'up');
    if (isThere !== watch.isThere) Object.assign(watch, { isThere, atNs: process.hrtime.bigint() });
  });
  return { machine, store, discovery, watcher, dns, watch };
}

function unheard(): Heard {
  return { isThere: undefined, atNs: 0n };
}

async function change(
  seats: readonly Seat[],
  discovery: DiscoveryClient,
  state: Instance['state'] | 'gone',
): Promise<Change> {
  const ref = { service, handle: 'probe' };
  const sinceNs = process.hrtime.bigint();
  if (state === 'gone') await discovery.deregister(ref);
  else await discovery.register(anInstance(state));
  const last = await allHear(seats, state === 'up', sinceNs);
  const since = (atNs: bigint) => Number(atNs - sinceNs) / 1e6;
  return { ours: since(last.dns), peer: since(last.watch) };
}

function anInstance(state: Instance['state']): Instance {
  return {
    id: `1.${service}`,
    service,
    job: 'probe',
    address: '192.0.2.1',
    port: 80,
    ports: {},
    state,
    host: 'nowhere',
    createdAt: 1,
    metadata: {},
  };
}

/** When the last machine heard of it. */
async function allHear(seats: readonly Seat[], isThere: boolean, sinceNs: bigint) {
  const last = (heard: readonly Heard[]) =>
    heard.reduce((late, { atNs }) => (atNs > late ? atNs : late), 0n);
  const isHeard = (heard: Heard) => heard.isThere === isThere && heard.atNs >= sinceNs;
  const all = () => {
    const [dns, watch] = [seats.map((seat) => seat.dns), seats.map((seat) => seat.watch)];
    return [...dns, ...watch].every(isHeard) && { dns: last(dns), watch: last(watch) };
  };
  const seen = () => seats.map(({ machine, dns }) => `${machine.name}: ${dns.isThere}`);
  return waitFor('every machine to hear of it', all, { timeoutMs: 60_000, everyMs: 5, seen });
}

async function summary(pairs: readonly Change[]): Promise<BenchResult> {
  const ours = pairs.map((pair) => pair.ours);
  const p99 = quantile(ours, 0.99);
  const [load] = (await readFile('/proc/loadavg', 'utf8')).split(' ');
  const peers = quantile(
    pairs.map(({ peer }) => peer),
    0.99,
  );
  const result = resultOf({
    name: 'change visible in DNS on all three machines, p99',
    unit: 'ms',
    peer: "the same change in the store's watch on all three, p99",
    target: `p99 <= ${limitMs} ms`,
    pairs: [...pairs],
    isMet: () => p99 <= limitMs,
    note: `p50 ${median(ours).toFixed(1)} ms of ${ours.length} changes, asked every 2 ms; load ${load}`,
  });
  return { ...result, figure: p99, peerFigure: peers };
}
