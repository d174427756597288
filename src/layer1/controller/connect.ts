// Joins a controller to the doors of the machine it runs on: layer 0 on its socket, logs by discovery, the builder as a library.

import { systemClock as clock } from '#core/clock';
import type { Log } from '#core/log';
import { systemRandom as random } from '#core/random';
import { createDiscovery, type DiscoveryClient } from '#layer0/discovery/client';
import { createHaClient } from '#layer0/ha/client';
import { createHostClient } from '#layer0/host/client';
import { type Host, hostPrefix } from '#layer0/host/wire';
import { createMembershipClient } from '#layer0/membership/client';
import { createSchedulerClient } from '#layer0/scheduler/client';
import { createRemoteStore, listAll, type Store } from '#layer0/store/client';
import { createBuilder } from '#layer1/builder/client';
import { createLogsClient, type LogMachine, readMerged } from '#layer1/logs/client';
import type { ControllerConfig } from './config.ts';
import type { LogsPort } from './context.ts';
import { type Controller, createController } from './index.ts';

/** Where logs registers itself. */
const logsService = 'logs.gantry';

export interface ConnectOptions {
  log: Log;
  builder: Parameters<typeof createBuilder>[1];
  /** Shown as the leader's name. */
  identity: string;
}

export function connectController(config: ControllerConfig, options: ConnectOptions): Controller {
  const { log } = options;
  const { hostUrl: baseUrl, internalKey } = config;
  const store = createRemoteStore({ baseUrl, clock, random, log });
  const host = createHostClient({ baseUrl });
  const membership = createMembershipClient({ baseUrl });
  const ha = createHaClient({ baseUrl });
  const scheduler = createSchedulerClient({ store, clock });
  const discovery = createDiscovery({ store, here: config.hostId, clock, random, log });
  const builder = createBuilder({ scheduler, host, clock, log }, options.builder);
  const logs = logsByDiscovery({ store, discovery }, internalKey);
  const deps = { store, host, membership, ha, scheduler, builder, logs, clock, random, log };
  const controller = createController(deps, { ...config, identity: options.identity });
  return {
    server: controller.server,
    status: () => controller.status(),
    get port() {
      return controller.port;
    },
    get isLeader() {
      return controller.isLeader;
    },
    start: () => controller.start(),
    async stop() {
      await controller.stop();
      await discovery.close();
      host.close();
      membership.close();
      ha.close();
      await store.close();
    },
  };
}

/** Each machine keeps what was said on it. Asks where its logs are for each call: they move when they are restarted. */
function logsByDiscovery(
  deps: { store: Store; discovery: DiscoveryClient },
  key: string,
): LogsPort {
  const { store, discovery } = deps;
  async function machines(): Promise<LogMachine[]> {
    await discovery.ready();
    const up = discovery.instances(logsService).filter(({ state }) => state === 'up');
    const hosts = await listAll<Host>(store, hostPrefix);
    return hosts.map(({ value: { id, name } }) => {
      const instance = up.findLast(({ host }) => host === id);
      const baseUrl = instance && `http://${instance.address}:${instance.port}`;
      return { id, name, read: baseUrl === undefined ? undefined : readerOf({ baseUrl, key }) };
    });
  }
  return { read: (query, signal) => readMerged({ machines, clock }, query, signal) };
}

function readerOf(options: { baseUrl: string; key: string }): NonNullable<LogMachine['read']> {
  return async function* (query, signal) {
    const client = createLogsClient(options);
    try {
      yield* client.read(query, signal);
    } finally {
      client.close();
    }
  };
}
