#!/usr/bin/env node
// The `logs` process: collects and serves what the containers of this host say, until it is told to stop.

import { processParts, stopWhenTold } from '#core/process';

const { readConfig } = await import('#core/config');
const { createRemoteStore } = await import('#layer0/store/client');
const { createHostClient } = await import('#layer0/host/client');
const { logsSettings } = await import('#layer1/logs/config');
const { createLogs } = await import('#layer1/logs/index');
const { appPrefix } = await import('#layer1/controller/wire');

const config = readConfig(logsSettings);
const parts = await processParts('logs');
const store = createRemoteStore({ baseUrl: config.hostUrl, ...parts });
const host = createHostClient({ baseUrl: config.hostUrl });
const logs = createLogs({ store, host, appPrefix, ...parts }, config);
await logs.start();
stopWhenTold(() => logs.stop());
