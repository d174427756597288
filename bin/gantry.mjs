#!/usr/bin/env node
// The entry of the command-line tool. Plain JavaScript: a start that finds everything in the compile cache never loads
// what turns TypeScript into JavaScript, which would more than double it.

import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'gantry'));
await import('./gantry.ts');
