// Everything in the repository that is written by a program: the OpenAPI documents, the references, the table of components.
// `npm run generate` writes it; with `--check` it only names what is out of date, or routes that do not say what they
// answer, and exits 1.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describeCommands } from '#cli/registry';
import { registeredErrors } from '#core/errors';
import { registerRoutes } from '#layer0/daemon/index';
import { registerControllerRoutes } from '#layer1/controller/http';
import { registerLogsRoutes } from '#layer1/logs/http';
import { readArchitecture } from './check-architecture.ts';
import { renderComponents, replaceBetweenMarks } from './generate/components.ts';
import { type ApiDescription, describeApi, standIn } from './generate/open-api.ts';
import {
  renderCommands,
  renderConfiguration,
  renderErrors,
  type SettingGroup,
  settingsOf,
} from './generate/reference.ts';
import { listFiles, readSources, root } from './source-files.ts';

interface Generated {
  path: string;
  text: string;
}

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
};

const apis: Record<string, ApiDescription> = {
  'api/controller.json': {
    title: 'Gantry management API',
    description: 'Apps, releases, deployments, jobs, routes, logs and events: what the CLI uses.',
    version,
    needsToken: true,
    open: ['/healthz'],
    register: (server) => registerControllerRoutes(server, standIn),
  },
  'api/layer0.json': {
    title: 'Gantry layer 0',
    description:
      'Store, host, images, scheduler, discovery and network, on the socket of the host daemon.',
    version,
    needsToken: false,
    register: (server) => registerRoutes(server, standIn, standIn),
  },
  'api/logs.json': {
    title: 'Gantry logs',
    description:
      'The history of an app and what is added to it, for the management API, on loopback.',
    version,
    needsToken: true,
    open: ['/healthz', '/status'],
    register: (server) => registerLogsRoutes(server, standIn),
  },
};

export async function generateAll(): Promise<{ files: Generated[]; warnings: string[] }> {
  const files: Generated[] = [];
  const warnings: string[] = [];
  for (const [path, api] of Object.entries(apis)) {
    const document = await describeApi(api);
    files.push({ path, text: document.text });
    warnings.push(...document.warnings.map((warning) => `${path}: ${warning}`));
  }
  files.push({ path: 'docs/errors.md', text: await errorsText() });
  files.push({ path: 'docs/configuration.md', text: await configurationText() });
  files.push({ path: 'docs/cli.md', text: renderCommands(describeCommands()) });
  files.push(architectureDocument());
  return { files, warnings };
}

async function errorsText(): Promise<string> {
  for (const path of listFiles('src/**/errors.ts')) await import(join(root, path));
  return renderErrors(registeredErrors());
}

async function configurationText(): Promise<string> {
  const groups: SettingGroup[] = [];
  for (const path of listFiles('src/**/config.ts')) {
    const exported = (await import(join(root, path))) as Record<string, unknown>;
    const settings = Object.values(exported).flatMap((value) => settingsOf(value) ?? []);
    const component = dirname(path).replace(/^src\//, '');
    if (settings.length > 0) groups.push({ component, settings });
  }
  return renderConfiguration(groups);
}

function architectureDocument(): Generated {
  const path = 'ARCHITECTURE.md';
  const readme = (component: string) => {
    const file = join(root, 'src', component, 'README.md');
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  };
  const table = renderComponents(readArchitecture(), readSources('src/**/*.ts'), readme);
  return { path, text: replaceBetweenMarks(readFileSync(join(root, path), 'utf8'), table) };
}

function isCurrent({ path, text }: Generated): boolean {
  const file = join(root, path);
  return existsSync(file) && readFileSync(file, 'utf8') === text;
}

function write({ path, text }: Generated): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  console.log(`wrote ${path}`);
}

async function main(): Promise<void> {
  const { files, warnings } = await generateAll();
  for (const warning of warnings) console.error(warning);
  const stale = files.filter((file) => !isCurrent(file));
  if (!process.argv.includes('--check')) return stale.forEach(write);
  for (const { path } of stale) console.error(`${path} is out of date: run npm run generate`);
  if (stale.length + warnings.length > 0) process.exitCode = 1;
  else console.log('generate: every generated file is up to date');
}

if (import.meta.main) await main();
