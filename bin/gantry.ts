#!/usr/bin/env node
// The command-line tool: gives the process to src/cli and ends with the exit code it answers. Start it by gantry.mjs.

import { enableCompileCache } from 'node:module';

enableCompileCache();
const { main } = await import('#cli/main');
const { processIo } = await import('#cli/io');

process.exit(await main(processIo(process), process.argv.slice(2)));
