#!/usr/bin/env node
// The DNS process of a machine: answers containers from the table file until it is told to stop.

import { enableCompileCache } from 'node:module';

enableCompileCache();
const { readConfig } = await import('#core/config');
const { systemClock } = await import('#core/clock');
const { dnsSettings } = await import('#layer0/dns/config');
const { createDnsServer } = await import('#layer0/dns/index');
const { Fence } = await import('#layer0/host/fence');
const { createLineLog } = await import('#layer0/dns/line-log');

const { home, port } = readConfig(dnsSettings);
const log = createLineLog('dns', (line) => process.stdout.write(line));
const server = createDnsServer(
  { clock: systemClock, log },
  { tablePath: `${home}/dns/table.json`, port },
);
await server.start();
// Beside DNS because it must live when the daemon does not, and one more process would cost more than both.
const fence = new Fence({ clock: systemClock, log });
fence.start();
log.info({ home, port }, 'serving names');

// The clock's timers do not hold the process, and before the first bridge there is no socket that does.
const alive = setInterval(() => undefined, 2 ** 31 - 1);
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.once(signal, () => {
    clearInterval(alive);
    fence.stop();
    void server.stop();
  });
