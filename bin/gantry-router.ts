#!/usr/bin/env node
// The process type `router`: drives this host's HAProxy until it is told to stop. HAProxy goes on without it.

import { enableCompileCache } from 'node:module';

enableCompileCache();
const { readConfig } = await import('#core/config');
const { systemClock: clock } = await import('#core/clock');
const { createLog } = await import('#core/log');
const { systemRandom: random } = await import('#core/random');
const { createDiscovery } = await import('#layer0/discovery/client');
const { createHostClient } = await import('#layer0/host/client');
const { createRemoteStore } = await import('#layer0/store/client');
const { createRouter, routerSettings } = await import('#layer1/router/index');

const config = readConfig(routerSettings);
const log = createLog('router');
const store = createRemoteStore({ baseUrl: config.hostUrl, clock, random, log });
const discovery = createDiscovery({ store, clock, random, log });
const host = createHostClient({ baseUrl: config.hostUrl });
const openSealed = (context: string, sealed: string) => host.open(context, sealed);
const router = createRouter({ store, discovery, openSealed, clock, random, log }, config);
await router.start();

const stop = async () => {
  await router.stop();
  // HAProxy goes on with what this router told it: its record stands until the next router takes it over.
  await discovery.abandon();
  await store.close();
  host.close();
};
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop());
