// Writes FILE.gz beside nothing else: into a folder of its own, for every text file that gets at least a tenth smaller.
//   node compress.mjs ROOT OUT

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';

const [root, out] = process.argv.slice(2);
const textual = /\.(html?|css|m?js|json|map|svg|txt|xml|webmanifest|wasm|ico|md)$/i;
/** Smaller ones fit in one packet anyway; larger ones would hold the build's memory. */
const minBytes = 1024;
const maxBytes = 64 * 1024 * 1024;

for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !textual.test(entry.name)) continue;
  const path = join(entry.parentPath, entry.name);
  const name = relative(root, path);
  if (name.split('/').some((part) => part.startsWith('.') || part === 'node_modules')) continue;
  const bytes = await readFile(path);
  if (bytes.length < minBytes || bytes.length > maxBytes) continue;
  const packed = gzipSync(bytes, { level: 9 });
  if (packed.length > bytes.length * 0.9) continue;
  const target = join(out, `${name}.gz`);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, packed);
}
