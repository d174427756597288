#!/usr/bin/env node
// The host daemon of a machine: layer 0, until it is told to stop.

import { processParts, stopWhenTold } from '#core/process';

const { createDaemon, readDaemonConfig } = await import('#layer0/daemon/index');

const daemon = createDaemon(await processParts('host'), readDaemonConfig());
await daemon.start();
stopWhenTold(() => daemon.stop());
