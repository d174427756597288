#!/usr/bin/env node
// The git receiver of a cluster: takes pushes on loopback until it is told to stop.

import { enableCompileCache } from 'node:module';

enableCompileCache();
const { readConfig } = await import('#core/config');
const { systemClock: clock } = await import('#core/clock');
const { createLog } = await import('#core/log');
const { systemRandom: random } = await import('#core/random');
const { createDiscovery } = await import('#layer0/discovery/client');
const { createRemoteStore } = await import('#layer0/store/client');
const { gitReceiverSettings } = await import('#layer1/git-receiver/config');
const { controllerUrlFrom, createGitReceiver, createPlatform } = await import(
  '#layer1/git-receiver/index'
);

const config = readConfig(gitReceiverSettings);
const log = createLog('git-receiver');
const store = createRemoteStore({ baseUrl: config.hostUrl, clock, random, log });
const discovery = createDiscovery({ store, clock, random, log });
const platform = createPlatform({
  controllerUrl: () => controllerUrlFrom(discovery, 'controller.gantry'),
  internalKey: config.internalKey,
  buildTimeoutMs: config.buildTimeoutMs,
});
const receiver = createGitReceiver({ platform, clock, random, log }, config);
await receiver.start();

const stop = async () => {
  await receiver.stop();
  await discovery.close();
  await store.close();
};
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop());
