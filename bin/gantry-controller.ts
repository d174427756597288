#!/usr/bin/env node
// The management API and the loop of deployments: serves on loopback until it is told to stop.

import { processParts, stopWhenTold } from '#core/process';

const { readConfig } = await import('#core/config');
const { controllerSettings } = await import('#layer1/controller/config');
const { connectController } = await import('#layer1/controller/connect');
const { builderSettings } = await import('#layer1/builder/config');

const { log } = await processParts('controller');
const controller = connectController(readConfig(controllerSettings), {
  log,
  builder: readConfig(builderSettings),
  identity: `${process.env.GANTRY_JOB ?? 'controller'} (pid ${process.pid})`,
});
await controller.start();
log.info({ port: controller.port }, 'serving the API');
stopWhenTold(() => controller.stop());
