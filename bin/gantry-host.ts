#!/usr/bin/env node
// The host daemon of a machine: layer 0, until it is told to stop.

import { enableCompileCache } from 'node:module';

enableCompileCache();
const { systemClock: clock } = await import('#core/clock');
const { createLog } = await import('#core/log');
const { systemRandom: random } = await import('#core/random');
const { createDaemon, readDaemonConfig } = await import('#layer0/daemon/index');

const log = createLog('host');
const daemon = createDaemon({ clock, random, log }, readDaemonConfig());
await daemon.start();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => void daemon.stop().then(() => process.exit(0)));
}
