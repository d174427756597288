// A host with everything scripted, for tests: fake engine, store in memory, a clock that stands still.

import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { seededRandom } from '#core/random';
import { createDiscovery, type DiscoveryClient } from '#layer0/discovery/client';
import { aJob as aPlacedJob, aSpec } from '#layer0/scheduler/fake';
import { type Job, type JobSpec, jobKey } from '#layer0/scheduler/wire';
import { createMemoryStore } from '#layer0/store/fake';
import { createHost, type Host, type HostDeps } from './index.ts';
import { type Behaviour, behaviourCommand, createFakeRuntime } from './runtime/fake.ts';
import { type JobStatus, statusKey } from './wire.ts';

export const testHostId = 'host-test';
export const testImage = 'app:1';

type JobChange = Partial<Omit<Job, 'spec'>> & { spec?: Partial<JobSpec>; behaves?: Behaviour };

/** A job of this host that does what it is told to. */
export function aJob({ spec = {}, behaves, ...change }: JobChange = {}): Job {
  const command = behaviourCommand(behaves ?? {});
  const resources = { memoryBytes: 64 * 1024 * 1024, cpuMillis: 100, pids: 64 };
  return aPlacedJob({
    id: 'job-000000000000aaaa',
    app: 'app-shop000000000000',
    host: testHostId,
    ...change,
    spec: aSpec({ image: testImage, command, resources, ...spec }),
  });
}

export interface WorldOptions {
  cores?: number;
  seed?: number;
}

export function createWorld({ cores = 2, seed = 1 }: WorldOptions = {}) {
  const clock = new FakeClock();
  const random = seededRandom(seed);
  const log = silentLog;
  const inner = createMemoryStore({ clock, random, log });
  const outage = { store: false };
  const store = withOutage(inner, outage);
  const runtime = createFakeRuntime({ clock, images: [testImage] });
  const network = createTestNetwork(runtime);
  const base = { store, clock, random, log };
  let discovery: DiscoveryClient | undefined;
  let host: Host | undefined;

  const world = {
    clock,
    store: inner,
    runtime,
    network,
    outage,
    get host(): Host {
      if (!host) throw new Error('boot the world first');
      return host;
    },
    get discovery(): DiscoveryClient {
      if (!discovery) throw new Error('boot the world first');
      return discovery;
    },
    async boot(change: Partial<HostDeps> = {}): Promise<Host> {
      discovery = createDiscovery({ ...base, store: change.store ?? store });
      const probe = async ({ container }: { container: string }) =>
        runtime.isHealthy(container) ? undefined : 'connection refused';
      const scripted = { runtime, network, discovery, cores, probe, ...testDeps };
      host = createHost({ ...base, ...scripted, ...change }, testConfig);
      await host.start();
      await clock.advance(10);
      return host;
    },
    /** As a crash: nothing is said to anybody. */
    async halt(): Promise<void> {
      let isEnded = false;
      const ended = Promise.all([host?.stop(), discovery?.abandon()]).then(() => {
        isEnded = true;
      });
      while (!isEnded) await clock.advance(50);
      await ended;
    },
    async close(): Promise<void> {
      await world.halt();
      await inner.close();
    },
    async put(...jobs: Job[]): Promise<void> {
      const operations = jobs.map((job) => ({ put: jobKey(job.id), value: job }));
      await inner.txn({ compare: [], operations });
    },
    async drop(job: Job) {
      await inner.txn({ compare: [], operations: [{ delete: jobKey(job.id) }] });
    },
    async status(job: Job): Promise<JobStatus | undefined> {
      return (await inner.get<JobStatus>(statusKey(job.id)))?.value;
    },
    containers: (job: Job) => runtime.list({ 'gantry.job': job.id }),
    /** Moves time in small steps until the condition holds; says what was missing when it does not. */
    async until(what: string, holds: () => Promise<boolean> | boolean, limitMs = 60_000) {
      const end = clock.monotonicMs() + limitMs;
      while (!(await holds())) {
        if (clock.monotonicMs() >= end) throw new Error(`not within ${limitMs} ms: ${what}`);
        await clock.advance(20);
      }
    },
    async untilState(job: Job, state: JobStatus['state'], limitMs = 120_000): Promise<JobStatus> {
      await world.until(
        `${job.id} is ${state}, it is ${JSON.stringify(await world.status(job))}`,
        async () => (await world.status(job))?.state === state,
        limitMs,
      );
      const status = await world.status(job);
      if (!status) throw new Error('unreachable');
      return status;
    },
  };
  return world;
}

export type World = ReturnType<typeof createWorld>;

const testDeps = {
  sealKey: Buffer.alloc(32, 7),
  isPortFree: () => Promise.resolve(true),
};

export const testConfig = {
  hostId: testHostId,
  clusterId: 'cluster-test',
  name: 'test',
  address: '127.0.0.1',
  home: '/nowhere',
  version: '0',
  portMin: 21_000,
  portMax: 21_009,
  memoryReserveBytes: 0,
  hostLeaseMs: 10_000,
};

function withOutage<S extends object>(store: S, outage: { store: boolean }): S {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (outage.store && name !== 'watch' && name !== 'close')
          return Promise.reject(
            Object.assign(new Error('the store is away'), { code: 'core.unreachable' }),
          );
        return Reflect.apply(value, target, args) as unknown;
      };
    },
  });
}

function createTestNetwork(runtime: ReturnType<typeof createFakeRuntime>) {
  const held = new Map<string, string>();
  let next = 2;
  return {
    held,
    async ensureAppNetwork(app: string, appName: string) {
      const network = testNetwork(app, appName);
      const { networkName: name, subnet, gateway, bridge } = network;
      await runtime.ensureNetwork({ name, subnet, gateway, bridge, labels: {}, mtu: 1500 });
      return network;
    },
    async allocate(app: string, job: string) {
      const ip = held.get(job) ?? `10.9.${next >> 8}.${next++ & 255}`;
      held.set(job, ip);
      return {
        networkName: `net-${app}`,
        ip,
        mac: '02:00:00:00:00:01',
        dns: [],
        dnsSearch: [],
        dnsOptions: [],
      };
    },
    async release(job: string) {
      held.delete(job);
    },
    resync() {},
    async claim({ job, ip }: { job: string; ip: string }) {
      if (![...held.values()].includes(ip)) held.set(job, ip);
    },
    heldBy(host: string) {
      return [...held].map(([job, ip]) => ({ app: 'app-any', ip, job, host }));
    },
  };
}

function testNetwork(app: string, appName: string) {
  const names = { networkName: `net-${app}`, bridge: 'br-test' };
  return { app, appName, subnet: '10.9.0.0/16', gateway: '10.9.0.1', vni: 1, ...names };
}
