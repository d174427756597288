#!/usr/bin/env node
// The git receiver of a cluster: takes pushes on loopback until it is told to stop.

import { processParts, stopWhenTold } from '#core/process';

const { readConfig } = await import('#core/config');
const { createDiscovery } = await import('#layer0/discovery/client');
const { createRemoteStore } = await import('#layer0/store/client');
const { gitReceiverSettings } = await import('#layer1/git-receiver/config');
const { controllerUrlFrom, createGitReceiver, createPlatform } = await import(
  '#layer1/git-receiver/index'
);

const config = readConfig(gitReceiverSettings);
const parts = await processParts('git-receiver');
const store = createRemoteStore({ baseUrl: config.hostUrl, ...parts });
const discovery = createDiscovery({ store, here: config.hostId, ...parts });
const platform = createPlatform({
  controllerUrl: () =>
    controllerUrlFrom(discovery, { service: 'controller.gantry', here: config.hostId }),
  internalKey: config.internalKey,
  buildTimeoutMs: config.buildTimeoutMs,
});
const receiver = createGitReceiver({ platform, ...parts }, config);
await receiver.start();

stopWhenTold(async () => {
  await receiver.stop();
  await discovery.close();
  await store.close();
});
