#!/usr/bin/env node
// Replaces the host daemon and DNS of a machine where nobody runs script/up; the daemon of before starts it.
// Arguments: the folder of Gantry, and what is wanted as JSON.

import { processParts } from '#core/process';

const { replaceDaemon } = await import('../src/bootstrap/replace.ts');

const { log } = await processParts('replace');
const [home = '', wanted = ''] = process.argv.slice(2);
await replaceDaemon(home, JSON.parse(wanted), log);
process.exit(0);
