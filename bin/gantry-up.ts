// `script/up`, once Node is there.
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

enableCompileCache();
const { runCommand } = await import('../src/bootstrap/index.ts');
await runCommand('up', process.argv.slice(2), {
  checkout: join(import.meta.dirname, '..'),
  env: process.env,
});
