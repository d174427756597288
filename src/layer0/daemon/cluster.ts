// This machine among others: who they are, how to reach them, and the store, which may be on one of them.

import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';
import type { HttpClient } from '#core/http-client';
import { createHttpServer, type HttpServer } from '#core/http-server';
import type { Log } from '#core/log';
import type { DiscoveryClient } from '#layer0/discovery/index';
import {
  createFailureDetector,
  type FailureDetector,
  type FailureDetectorConfig,
} from '#layer0/failure-detector/index';
import { createHa, type Ha } from '#layer0/ha/index';
import { type Others, passedOn } from '#layer0/host/http';
import {
  createOwnContainers,
  createSeal,
  type Host,
  loadSealKey,
  type Runtime,
} from '#layer0/host/index';
import type { Image } from '#layer0/images/wire';
import {
  createMembership,
  type Membership,
  membershipFolder,
  Peers,
  readIdentity,
} from '#layer0/membership/index';
import { type Job, jobKey } from '#layer0/scheduler/wire';
import type { ServedStore } from '#layer0/store/index';
import { createTunnels, type Tunnels } from '#layer0/tunnels/index';
import type { DaemonConfig, DaemonDeps } from './index.ts';

/** Until an archive begins to come: the engine may prepare all of it first. */
export const archiveTimeoutMs = 10 * 60_000;

export interface Cluster {
  store: ServedStore;
  ha: Ha;
  peers: Peers;
  membership: Membership;
  /** What a machine that is no member yet may ask. */
  strangers: HttpServer;
  sealKey: Buffer;
}

export interface ClusterParts {
  config: DaemonConfig;
  /** Has the layer-0 API: members are let in to it. */
  server: HttpServer;
  runtime: Runtime;
}

export async function createCluster(
  deps: DaemonDeps,
  { config, server, runtime }: ClusterParts,
): Promise<Cluster> {
  const { clock, random } = deps;
  const log = deps.log.child({ part: 'membership' });
  const peers = new Peers(membershipFolder(config.home));
  await peers.load();
  const identity = await readIdentity(membershipFolder(config.home));
  if (identity) peers.use(identity);
  const containers = createOwnContainers({ socketPath: config.engineSocket, clock });
  const ha = createHa(
    { peers, runtime, containers, clock, random, log: deps.log.child({ part: 'ha' }) },
    config,
  );
  const store = await ha.open();
  const sealKey = await loadSealKey(join(config.home, 'keys', 'seal.key'));
  const strangers = createHttpServer({ log });
  const membership = createMembership(
    {
      store,
      peers,
      seal: createSeal(sealKey),
      sealKey: sealKey.toString('base64'),
      servers: { members: server.server, strangers: strangers.server },
      clock,
      random,
      log,
    },
    { ...config, settings: () => settingsOf(config, ha.storeHost()) },
  );
  return { store, ha, peers, membership, strangers, sealKey };
}

/** Where this machine's layer-0 API listens. */
export function apiSocketOf(home: string): string {
  return join(home, 'run', 'host.sock');
}

/** What a call about a job of another machine needs to get there. */
export function callsToOthers({
  peers,
  store,
  tunnels,
  host,
}: Pick<Cluster, 'peers' | 'store'> & Agents): Others {
  return {
    // The record in memory may be older than the caller's.
    hostOf: async (jobId) =>
      host.placeOf(jobId) ?? (await store.get<Job>(jobKey(jobId)))?.value.host,
    client: (member) => peers.client(member),
    guard: (member, end) => tunnels.guard(member, end),
    carry: (member, socket) => tunnels.carryToApi(member, socket),
  };
}

interface Agents {
  tunnels: Tunnels;
  host: Pick<Host, 'placeOf'>;
}

/** To what listens on the loopback of other members, and from them to what does here. */
export function tunnelsOf(
  { clock, random, log }: DaemonDeps,
  { hostId, home }: DaemonConfig,
  { peers, membership, discovery }: Pick<Cluster, 'peers' | 'membership'> & Found,
): Tunnels {
  return createTunnels(
    {
      discovery,
      clock,
      random,
      log: log.child({ part: 'tunnels' }),
      client: (member) => peers.client(member),
      memberOf: (socket) => membership.memberOf(socket),
    },
    { hostId, apiSocket: apiSocketOf(home) },
  );
}

interface Found {
  discovery: DiscoveryClient;
}

export function failureDetectorOf(
  peers: Peers,
  base: { clock: Clock; log: Log },
  config: FailureDetectorConfig,
): FailureDetector {
  const others = () => peers.list().filter(({ hostId }) => hostId !== config.hostId);
  const watchPeers = (callback: () => void) => peers.watch(callback);
  return createFailureDetector({ peers: others, watchPeers, ...base }, config);
}

/** Addresses of the other members, by host id. */
export function othersOf(peers: Peers, self: string): ReadonlyMap<string, string> {
  const others = peers.list().filter(({ hostId }) => hostId !== self);
  return new Map(others.map(({ hostId, address }) => [hostId, address]));
}

/** An image from the first member that has it and answers; undefined when none does. */
export function fetchFromPeers(
  peers: Peers,
  self: string,
  image: string,
): Promise<Readable | undefined> {
  const options = { query: { reference: image }, timeoutMs: archiveTimeoutMs };
  return fromAnyPeer(peers, self, (client) => client.raw('GET', '/images/archive', options));
}

/** What the first member that has it says of an image; undefined when none does. */
export function inspectAtPeers(
  peers: Peers,
  self: string,
  reference: string,
): Promise<Image | undefined> {
  const options = { query: { reference }, headers: { [passedOn]: self }, timeoutMs: 3_000 };
  return fromAnyPeer(peers, self, (client) =>
    client.json<Image>('GET', '/images/inspect', options),
  );
}

async function fromAnyPeer<T>(
  peers: Peers,
  self: string,
  ask: (client: HttpClient) => Promise<T>,
): Promise<T | undefined> {
  for (const { hostId } of peers.list()) {
    if (hostId === self) continue;
    try {
      return await ask(peers.client(hostId));
    } catch (error) {
      const { code, retry } = toAppError(error);
      if (code !== 'images.notFound' && !retry) throw error;
    }
  }
  return undefined;
}

/** What a machine that joins must know beside the keys: its daemon and its jobs are set up with it. */
function settingsOf(config: DaemonConfig, storeHost: string): Record<string, string> {
  return {
    domain: config.domain,
    httpPort: String(config.httpPort),
    httpsPort: String(config.httpsPort),
    storeHost,
    version: config.version,
  };
}
