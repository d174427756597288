// Runs while the system image is built, so that the image holds compiled all that a process of ours ever loads. A process
// then starts faster, and never loads the TypeScript parser, which would stay in its memory (11 MB each).

import { readdirSync, readFileSync } from 'node:fs';
import { flushCompileCache, registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';

const sources = (folder) =>
  readdirSync(folder, { recursive: true })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => pathToFileURL(`${folder}/${file}`).href);
const entries = sources('bin');

// What all stand on and what an entry names is loaded for good, with the packages that it uses.
for (const file of sources('src/core')) await import(file);
for (const entry of entries)
  for (const [, name] of readFileSync(new URL(entry), 'utf8').matchAll(/'(#(?:core|layer0|layer1)\/[^']+)'/g))
    await import(name);

// The entries, and what is loaded only when it is needed, are compiled but not run: their first import is refused.
const refused = new Error('compiled, not run');
registerHooks({
  resolve(specifier, context, next) {
    if (context.parentURL === import.meta.url) return next(specifier, context);
    throw refused;
  },
});
const compile = (file) => import(file).then(() => true, (error) => error !== refused && Promise.reject(error));
for (const folder of ['src/layer0', 'src/layer1'])
  for (const file of sources(folder)) await compile(file);
for (const entry of entries)
  if (await compile(entry)) throw new Error(`${entry} ran while the image was built: let it begin with an import`);
flushCompileCache();
process.exit(0);
