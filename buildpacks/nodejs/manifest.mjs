// What the buildpack needs to know of package.json, read once: lines `key<TAB>value`. Ends with 2 when it is not valid JSON.
//   engine      the range of Node versions that the app asks for
//   fit         yes, no, or bad (no range at all): is this Node in it?
//   own         the version of this Node
//   script.NAME there is such a script
//   packages    the app has packages, or scripts of its own, to install

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const semver = require('/usr/local/lib/node_modules/npm/node_modules/semver');

const isFilled = (value) => typeof value === 'object' && value !== null && Object.keys(value).length > 0;

let manifest;
try {
  manifest = JSON.parse(readFileSync('package.json', 'utf8'));
  if (typeof manifest !== 'object' || manifest === null) throw new Error('not an object');
} catch {
  process.exit(2);
}
const say = (key, value) => console.log(`${key}\t${String(value).replaceAll(/\s+/g, ' ')}`);

const engine = manifest.engines?.node;
if (engine !== undefined) say('engine', engine);
const range = engine === undefined ? '*' : String(engine);
say('own', process.version);
if (semver.validRange(range) === null) say('fit', 'bad');
else say('fit', semver.satisfies(process.version, range) ? 'yes' : 'no');

const scripts = Object.keys(manifest.scripts ?? {});
for (const name of scripts) if (/^[\w:.-]+$/.test(name)) say(`script.${name}`, 'yes');

const installScripts = ['preinstall', 'install', 'postinstall', 'prepare'];
if (
  ['dependencies', 'devDependencies', 'optionalDependencies'].some((key) => isFilled(manifest[key])) ||
  installScripts.some((name) => scripts.includes(name)) ||
  manifest.workspaces
)
  say('packages', 'yes');
if (manifest.workspaces) say('workspaces', 'yes');
