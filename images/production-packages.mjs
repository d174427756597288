// Prints the folders in node_modules that a production install has, one a line: the lockfile's entries that are neither
// for development nor the pinned Node (it is in the base image) and that this machine has installed.
// Plain JavaScript, so that any Node can run it.

import { existsSync, readFileSync } from 'node:fs';

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
for (const [path, entry] of Object.entries(packages)) {
  // A nested package comes with the one it is nested in.
  if (!/^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) || entry.dev || entry.devOptional) continue;
  if (/^node_modules\/node-linux-/.test(path) || !existsSync(path)) continue;
  console.log(path);
}
