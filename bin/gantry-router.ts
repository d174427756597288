#!/usr/bin/env node
// The process type `router`: drives this host's HAProxy until it is told to stop. HAProxy goes on without it.

import { processParts, stopWhenTold } from '#core/process';

const { readConfig } = await import('#core/config');
const { createHostClient } = await import('#layer0/host/client');
const { createRemoteStore } = await import('#layer0/store/client');
const { createRouter, createRouterDiscovery, routerSettings } = await import(
  '#layer1/router/index'
);

const config = readConfig(routerSettings);
const parts = await processParts('router');
const store = createRemoteStore({ baseUrl: config.hostUrl, ...parts });
const discovery = createRouterDiscovery({ store, ...parts }, config);
const host = createHostClient({ baseUrl: config.hostUrl });
const openSealed = (context: string, sealed: string) => host.open(context, sealed);
const endConnections = (address: string) => host.endConnections(address);
const router = createRouter({ store, discovery, openSealed, endConnections, ...parts }, config);
await router.start();

stopWhenTold(async () => {
  await router.stop();
  // HAProxy goes on with what this router told it: its record stands until the next router takes it over.
  await discovery.abandon();
  await store.close();
  host.close();
});
