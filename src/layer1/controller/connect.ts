// Joins a controller to the doors of the machine it runs on: layer 0 on its socket, logs by discovery, the builder as a library.

import { systemClock as clock } from '#core/clock';
import type { Log } from '#core/log';
import { systemRandom as random } from '#core/random';
import { createDiscovery, type DiscoveryClient } from '#layer0/discovery/client';
import { createHaClient } from '#layer0/ha/client';
import { createHostClient } from '#layer0/host/client';
import { createMembershipClient } from '#layer0/membership/client';
import { createSchedulerClient } from '#layer0/scheduler/client';
import { createRemoteStore } from '#layer0/store/client';
import { createBuilder } from '#layer1/builder/client';
import { createLogsClient } from '#layer1/logs/client';
import type { ControllerConfig } from './config.ts';
import type { LogsPort } from './context.ts';
import { controllerErrors } from './errors.ts';
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
  const scheduler = createSchedulerClient({ store, clock, host: config.hostId });
  const discovery = createDiscovery({ store, here: config.hostId, clock, random, log });
  const builder = createBuilder({ scheduler, host, clock, log }, options.builder);
  const logs = logsByDiscovery(discovery, internalKey);
  const deps = { store, host, membership, ha, scheduler, builder, logs, clock, random, log };
  const controller = createController(deps, { ...config, identity: options.identity });
  return {
    ...{ server: controller.server, status: () => controller.status() },
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

/** Asks where logs is for each call: it moves when it is restarted. */
function logsByDiscovery(discovery: DiscoveryClient, key: string): LogsPort {
  return {
    async *read(query, signal) {
      await discovery.ready();
      const instance = discovery.instances(logsService).find(({ state }) => state === 'up');
      if (!instance)
        throw controllerErrors.unavailable(
          'the logs of this cluster are not running right now; `gantry ps -a gantry` says why',
        );
      const client = createLogsClient({
        baseUrl: `http://${instance.address}:${instance.port}`,
        key,
      });
      try {
        yield* client.read(query, signal);
      } finally {
        client.close();
      }
    },
  };
}
