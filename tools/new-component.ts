// `node tools/new-component.ts LAYER NAME`: a component that starts, stops and passes the check, and its line in
// architecture.json. What it is for is yours to write.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Architecture, readArchitecture } from './check-architecture.ts';
import { root } from './source-files.ts';

export interface PlannedFile {
  path: string;
  text: string;
}

/** The files of the new component, or a sentence why there can be none. */
export function planComponent(
  layer: string,
  name: string,
  { components }: Pick<Architecture, 'components'>,
): PlannedFile[] | string {
  const siblings = components[layer];
  if (!siblings) return `${layer} has no components: one of ${Object.keys(components).join(', ')}`;
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) return `${name} is not a kebab-case name`;
  if (siblings.includes(name)) return `${layer}/${name} is there already`;
  const folder = `src/${layer}/${name}`;
  const names = { folder, component: `${layer}/${name}`, camel: camelCase(name) };
  return [
    { path: `${folder}/README.md`, text: readme(names) },
    { path: `${folder}/index.ts`, text: index(names) },
    { path: `${folder}/config.ts`, text: config(names) },
    { path: `${folder}/errors.ts`, text: errors(names) },
    { path: `${folder}/${name}.test.ts`, text: testFile(names) },
  ];
}

/** The text of architecture.json with the component in its place of the alphabet. */
export function withComponent(text: string, layer: string, name: string): string {
  const architecture = JSON.parse(text) as Architecture;
  const siblings = architecture.components[layer] ?? [];
  architecture.components[layer] = [...siblings, name].sort();
  return `${JSON.stringify(architecture, null, 2)}\n`;
}

interface Names {
  folder: string;
  component: string;
  camel: string;
}

function camelCase(name: string): string {
  return name.replace(/-(\w)/g, (_match, letter: string) => letter.toUpperCase());
}

function pascalCase(camel: string): string {
  return camel.charAt(0).toUpperCase() + camel.slice(1);
}

const readme = ({ component }: Names) => `# ${component}

Which question does it answer?

\`\`\`
 who calls it ---> index.ts ---> what it calls
\`\`\`

## Vocabulary

## Invariants

## Who writes what

## Where to start reading

\`index.ts\`.
`;

const index = ({ camel }: Names) => `// The door for bin/ and tests.

import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop } from '#core/reconcile';
import { resyncMs } from './config.ts';

export interface ${pascalCase(camel)}Deps {
  clock: Clock;
  random: Random;
  log: Log;
}

export function create${pascalCase(camel)}({ clock, random, log }: ${pascalCase(camel)}Deps): Component {
  const loop = createLoop({
    name: '${camel}', resyncMs, clock, random, log,
    // Observe, decide, act.
    run: async () => undefined,
  });
  return {
    start: async () => loop.start(),
    stop: () => loop.stop(),
    status: () => ({ ${camel}: loop.status() }),
  };
}
`;

const config = ({
  component,
}: Names) => `// Settings of ${component}, and its limits with their names.

/** Longest time between two passes when nothing triggers. */
export const resyncMs = 60_000;
`;

const errors = ({ component, camel }: Names) => `// What can go wrong in ${component}.

import { defineErrors } from '#core/errors';

export const ${camel}Errors = defineErrors('${camel}', {
  notFound: {
    status: 404,
    retry: false,
    doc: 'There is nothing of that name; list what there is.',
  },
});
`;

const testFile = ({ camel }: Names) => `// What ${camel} promises.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { create${pascalCase(camel)} } from './index.ts';

test('it starts, runs and stops', async () => {
  const clock = new FakeClock();
  const component = create${pascalCase(camel)}({ clock, random: () => 0.5, log: silentLog });
  await component.start();
  await component.stop();
  assert.deepEqual(Object.keys(component.status()), ['${camel}']);
});
`;

/** Writes the plan, or answers why not. */
function write(layer: string, name: string): string | undefined {
  const files = planComponent(layer, name, readArchitecture());
  if (typeof files === 'string') return files;
  const there = files.find(({ path }) => existsSync(join(root, path)));
  if (there) return `${there.path} is there already`;
  for (const { path, text } of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    console.log(`wrote ${path}`);
  }
  const architecture = join(root, 'architecture.json');
  writeFileSync(architecture, withComponent(readFileSync(architecture, 'utf8'), layer, name));
  console.log('added it to architecture.json; `npm run generate` adds it to ARCHITECTURE.md');
  return undefined;
}

function main(): void {
  const [layer, name] = process.argv.slice(2);
  const refusal =
    layer && name ? write(layer, name) : 'Usage: node tools/new-component.ts LAYER NAME';
  if (refusal === undefined) return;
  console.error(refusal);
  process.exitCode = 1;
}

if (import.meta.main) main();
