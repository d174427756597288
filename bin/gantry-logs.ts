#!/usr/bin/env node
// The `logs` process: collects and serves what the containers of this host say, until it is told to stop.

import { enableCompileCache } from 'node:module';

enableCompileCache();
const { readConfig } = await import('#core/config');
const { systemClock: clock } = await import('#core/clock');
const { systemRandom: random } = await import('#core/random');
const { createLog } = await import('#core/log');
const { createRemoteStore } = await import('#layer0/store/client');
const { createHostClient } = await import('#layer0/host/client');
const { logsSettings } = await import('#layer1/logs/config');
const { createLogs } = await import('#layer1/logs/index');
const { appPrefix } = await import('#layer1/controller/wire');

const config = readConfig(logsSettings);
const log = createLog('logs');
const store = createRemoteStore({ baseUrl: config.hostUrl, clock, random, log });
const host = createHostClient({ baseUrl: config.hostUrl });
const logs = createLogs({ store, host, appPrefix, clock, random, log }, config);
await logs.start();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => void logs.stop().then(() => process.exit(0)));
}
