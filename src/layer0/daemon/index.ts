// The host daemon: every component of layer 0 in one process, one API on one socket. Starting is recovery: there is no other way up.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import { readConfig, type SettingsOf } from '#core/config';
import { createHttpServer, type HttpServer, listenUnix } from '#core/http-server';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import type { Loop } from '#core/reconcile';
import { type Static, Type } from '#core/schema';
import {
  createDiscovery,
  createDnsTable,
  type DiscoveryClient,
  type DnsTableDeps,
  discoverySettings,
  registerDiscoveryRoutes,
} from '#layer0/discovery/index';
import { type FailureDetector, failureDetectorSettings } from '#layer0/failure-detector/index';
import { registerHaRoutes } from '#layer0/ha/index';
import { hostSettings } from '#layer0/host/config';
import { registerHostRoutes } from '#layer0/host/http';
import {
  createDockerRuntime,
  createHost,
  createLoadMeter,
  createTenureBook,
  fenceFolder,
  type Host,
} from '#layer0/host/index';
import { type HostReport, memberReportSchema } from '#layer0/host/wire';
import { registerImageRoutes } from '#layer0/images/http';
import type { Images } from '#layer0/images/index';
import {
  membershipSettings,
  type Peers,
  registerJoinRoute,
  registerMembershipRoutes,
} from '#layer0/membership/index';
import {
  createFirewall,
  createNetwork,
  createOverlay,
  dnsListeners,
  type Network,
  networkSettings,
  readList,
  readPorts,
  registerNetworkRoutes,
} from '#layer0/network/index';
import { schedulerSettings } from '#layer0/scheduler/config';
import { registerSchedulerRoutes } from '#layer0/scheduler/http';
import { createScheduler, type Scheduler } from '#layer0/scheduler/index';
import { type Formation, formationPrefix } from '#layer0/scheduler/wire';
import { listAll } from '#layer0/store/client';
import { registerStoreRoutes, type ServedStore } from '#layer0/store/index';
import type { Tunnels } from '#layer0/tunnels/index';
import { upgradeSettings } from '#layer0/upgrade/index';
import {
  apiSocketOf,
  type Cluster,
  callsToOthers,
  createCluster,
  failureDetectorOf,
  inspectAtPeers,
  othersOf,
  tunnelsOf,
} from './cluster.ts';
import { daemonSettings } from './config.ts';
import { DnsWatch } from './dns-watch.ts';
import { createAppCollector, createImageCollector } from './housekeeping.ts';
import { createDaemonImages } from './images.ts';
import { reportMachine } from './machine-report.ts';
import { reportMembers } from './members-report.ts';
import type { RegistryKeeper } from './registry-keeper.ts';
import { createDaemonUpgrade } from './replacement.ts';

export { daemonSettings } from './config.ts';

export interface DaemonDeps {
  clock: Clock;
  random: Random;
  log: Log;
}

const settings = {
  ...daemonSettings,
  ...hostSettings,
  ...membershipSettings,
  ...networkSettings,
  ...discoverySettings,
  ...schedulerSettings,
  ...failureDetectorSettings,
  ...upgradeSettings,
};
export type DaemonConfig = SettingsOf<typeof settings>;

export function readDaemonConfig(): DaemonConfig {
  return readConfig(settings);
}

interface Parts extends Cluster {
  runtime: ReturnType<typeof createDockerRuntime>;
  discovery: DiscoveryClient;
  network: Network;
  images: Images;
  host: Host;
  scheduler: Scheduler;
  tunnels: Tunnels;
  failureDetector: FailureDetector;
  dnsTable: { start(): void | Promise<void>; stop(): Promise<void> };
  upgrade: Component;
  registry: RegistryKeeper;
  /** What collects and what watches. */
  loops: Loop[];
}

export function createDaemon(deps: DaemonDeps, config: DaemonConfig): Component {
  let parts: Parts | undefined;
  let server: HttpServer | undefined;
  return {
    async start() {
      server = createHttpServer({ log: deps.log });
      parts = await createParts(deps, config, server);
      registerRoutes(server, parts, { deps, config });
      parts.registry.register(server);
      registerJoinRoute(parts.strangers, parts.membership);
      await parts.strangers.ready();
      await parts.network.start();
      await parts.images.start();
      await parts.host.start();
      await parts.scheduler.start();
      await parts.dnsTable.start();
      await parts.tunnels.start();
      await parts.failureDetector.start();
      for (const loop of parts.loops) loop.start();
      await listenUnix(server, apiSocketOf(config.home));
      await parts.membership.start();
      await parts.registry.start();
      await parts.upgrade.start();
      deps.log.info({ host: config.hostId, version: config.version }, 'the host daemon is up');
    },
    /** What runs on this machine goes on running: only this process lets go. */
    async stop() {
      await parts?.upgrade.stop();
      await parts?.registry.stop();
      await parts?.membership.stop();
      await server?.close();
      if (!parts) return;
      await parts.strangers.close();
      for (const loop of parts.loops) await loop.stop();
      await parts.failureDetector.stop();
      await parts.tunnels.stop();
      await parts.dnsTable.stop();
      await parts.scheduler.stop();
      await parts.host.stop();
      await parts.discovery.abandon();
      await parts.images.stop();
      await parts.network.stop();
      await parts.ha.stop();
      parts.peers.close();
      parts.runtime.close();
      parts = undefined;
    },
    status: () => (parts ? statusOf(parts) : { state: 'starting' }),
  };
}

async function createParts(
  deps: DaemonDeps,
  config: DaemonConfig,
  server: HttpServer,
): Promise<Parts> {
  const { clock, random } = deps;
  const base = (part: string) => ({ clock, random, log: deps.log.child({ part }) });
  await mkdir(join(config.home, 'dns'), { recursive: true });
  const engine = { socketPath: config.engineSocket, ...base('engine') };
  const runtime = createDockerRuntime(engine);
  const cluster = await createCluster(deps, { config, server, runtime });
  const { store, peers, sealKey } = cluster;
  const here = config.hostId;
  const discovery = createDiscovery({ store, here, ...base('discovery') });
  const network = createDaemonNetwork({ deps, config, store, runtime, peers });
  peers.watch(() => network.resync());
  const failureDetector = failureDetectorOf(peers, base('failure-detector'), config);
  const hostConfig = { ...config, name: config.hostName, address: config.hostAddress };
  const dnsWatch = new DnsWatch({
    address: async () => dnsListeners(await network.carried())[0]?.address,
    ...base('dns-watch'),
  });
  const dns = () => dnsWatch.report();
  const host = createHost(
    {
      runtime,
      store,
      network,
      discovery,
      dns,
      sealKey,
      ...base('host'),
      fetchImage: (image) => images.ensure(image),
      load: createLoadMeter(),
      silent: () => failureDetector.silent(),
      tenureBook: createTenureBook(fenceFolder),
      isAlone: () => othersOf(peers, config.hostId).size === 0,
    },
    hostConfig,
  );
  failureDetector.onChange(() => host.tellSilence());
  const { images, registry } = createDaemonImages(deps, config, {
    store,
    peers,
    runtime,
    network,
    containerOf: async (jobId) => host.streams.logFiles(jobId).at(-1)?.containerId,
  });
  const scheduler = createScheduler(
    { store, ...base('scheduler'), identity: config.hostId },
    config,
  );
  const tunnels = tunnelsOf(deps, config, { ...cluster, discovery });
  const dnsTable = dnsTableOf(config, { discovery, network, store, ...base('dns-table') });
  const housekeeping = {
    store,
    network,
    images,
    containers: runtime,
    ...base('housekeeping'),
  };
  const loops = [
    dnsWatch.loop,
    createAppCollector(housekeeping, join(config.home, 'volumes')),
    createImageCollector(housekeeping),
  ];
  const upgrade = createDaemonUpgrade(deps, config, { store, images, ha: cluster.ha });
  return {
    ...cluster,
    runtime,
    registry,
    discovery,
    network,
    images,
    host,
    scheduler,
    tunnels,
    failureDetector,
    dnsTable,
    upgrade,
    loops,
  };
}

/** The file that gantry-dns answers from. */
function dnsTableOf(
  { home, serviceDomain, domain }: DaemonConfig,
  { network, ...deps }: Omit<DnsTableDeps, 'watchListeners'> & { network: Network },
): Parts['dnsTable'] {
  const watchListeners: DnsTableDeps['watchListeners'] = (callback) =>
    network.watch((networks) => callback(dnsListeners(networks)));
  const path = join(home, 'dns', 'table.json');
  return createDnsTable(
    { ...deps, watchListeners },
    { path, domain: serviceDomain, routerSuffix: domain },
  );
}

interface NetworkParts {
  deps: DaemonDeps;
  config: DaemonConfig;
  store: ServedStore;
  runtime: Parts['runtime'];
  peers: Peers;
}

function createDaemonNetwork({ deps, config, store, runtime, peers }: NetworkParts): Network {
  const { clock, random } = deps;
  const log = deps.log.child({ part: 'network' });
  const { clusterId: cluster, hostId: host, hostAddress: address } = config;
  const { pool, prefixLength, mtu } = config;
  const webPorts = [String(config.httpPort), String(config.httpsPort)];
  const routerPorts = [...new Set([...webPorts, ...readPorts(config.routerPorts)])];
  const firewall = createFirewall(
    { log },
    {
      cluster,
      pool,
      routerPorts,
      extraBridges: readList(config.untrustedBridges),
    },
  );
  const domain = config.serviceDomain;
  const overlay = createOverlay();
  const others = () => othersOf(peers, host);
  const jobsOf = async (app: string) =>
    (await listAll<Formation>(store, `${formationPrefix}${app}/`))
      .flatMap(({ value }) => Object.values(value.processes))
      .reduce((sum, { quantity }) => sum + quantity, 0);
  return createNetwork(
    { store, runtime, firewall, overlay, others, jobsOf, clock, random, log },
    { cluster, host, address, pool, prefixLength, mtu, domain },
  );
}

/** All of the layer-0 API. */
export function registerRoutes(
  server: HttpServer,
  parts: Parts,
  { deps, config }: { deps: DaemonDeps; config: DaemonConfig },
): void {
  const { clock } = deps;
  registerStoreRoutes(server, parts.store, { clock });
  registerHaRoutes(server, parts.ha);
  registerMembershipRoutes(server, parts.membership);
  const here = config.hostId;
  const passOn = registerHostRoutes(server, parts.host, { here, others: callsToOthers(parts) });
  const inspect = (reference: string) => inspectAtPeers(parts.peers, here, reference);
  registerImageRoutes(server, parts.images, { clock, others: { passOn, inspect } });
  registerSchedulerRoutes(server, parts.scheduler);
  registerDiscoveryRoutes(server, { discovery: parts.discovery, store: parts.store, clock });
  registerNetworkRoutes(server, { network: parts.network });
  parts.tunnels.registerRoutes(server);
  server.get<{ Querystring: Static<typeof statusQuery> }>(
    '/status',
    {
      schema: {
        summary: 'What the host daemon is doing, for doctor',
        tags: ['status'],
        querystring: statusQuery,
        response: { 200: Type.Record(Type.String(), Type.Unknown()) },
      },
    },
    ({ query }) => report(parts, { deps, config, ...query }),
  );
  server.get<{ Querystring: Static<typeof statusQuery> }>(
    '/members/status',
    {
      schema: {
        summary: 'How every machine of the cluster is, those that do not answer too',
        tags: ['status'],
        querystring: statusQuery,
        response: { 200: Type.Array(memberReportSchema) },
      },
    },
    ({ query }) => {
      const { hostId, hostName: name, hostAddress: address } = config;
      const self = { hostId, name, address };
      const own = () => report(parts, { deps, config, ...query });
      return reportMembers({ self, peers: parts.peers, report: own, clock, ...query });
    },
  );
}

const statusQuery = Type.Object({
  checks: Type.Optional(
    Type.Boolean({ description: 'Compare the tunnels of the machine with the records, too.' }),
  ),
});

async function report(
  parts: Parts,
  { deps, config, checks }: { deps: DaemonDeps; config: DaemonConfig; checks?: boolean },
): Promise<HostReport & Record<string, unknown>> {
  const { store, runtime, membership } = parts;
  const status = statusOf(parts);
  const certificateEndsAt = () => membership.certificateEndsAt();
  const machine = {
    store,
    runtime,
    home: config.home,
    clock: deps.clock,
    certificateEndsAt,
    ...(checks ? { differences: () => parts.network.differences() } : {}),
  };
  return {
    host: config.hostId,
    cluster: config.clusterId,
    version: config.version,
    ...(await reportMachine(machine, status)),
    ...status,
  };
}

function statusOf(parts: Parts): Record<string, unknown> {
  return {
    store: parts.store.status(),
    ...parts.ha.shown(),
    ...parts.membership.status(),
    ...parts.host.status(),
    ...parts.scheduler.status(),
    ...parts.network.status(),
    ...parts.images.status(),
    ...parts.registry.status(),
    ...parts.upgrade.status(),
    ...parts.tunnels.status(),
    ...parts.failureDetector.status(),
    loops: parts.loops.map((loop) => loop.status()),
  };
}
