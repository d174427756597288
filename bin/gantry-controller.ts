#!/usr/bin/env node
// The management API and the loop of deployments: serves on loopback until it is told to stop.

import { enableCompileCache } from 'node:module';

enableCompileCache();
const { readConfig } = await import('#core/config');
const { createLog } = await import('#core/log');
const { controllerSettings } = await import('#layer1/controller/config');
const { connectController } = await import('#layer1/controller/connect');
const { builderSettings } = await import('#layer1/builder/config');

const config = readConfig(controllerSettings);
const log = createLog('controller');
const controller = connectController(config, {
  log,
  builder: readConfig(builderSettings),
  identity: `${process.env.GANTRY_JOB ?? 'controller'} (pid ${process.pid})`,
});
await controller.start();
log.info({ port: controller.port }, 'serving the API');
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.once(signal, () => void controller.stop());
