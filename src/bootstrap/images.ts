// The three images: base (a small Debian with Node), stack (what apps are built on), system (what Gantry runs in).
// Each is tagged with the hash of what it is made of; one that is there is not made again.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './command.ts';
import type { Progress } from './progress.ts';
import { hashOf } from './source-hash.ts';

export interface PlatformImages {
  base: string;
  stack: string;
  system: string;
  /** Hash of the sources the system image holds: the platform's version. */
  version: string;
}

const nodeFiles = ['.node-version', 'package-lock.json'];

/** Tags without building: cheap enough for every run. */
export async function imageTags(checkout: string): Promise<PlatformImages> {
  const base = await hashOf(checkout, ['images/base.sh', 'images/base', '.node-version']);
  const stack = await hashOf(checkout, ['images/stack', 'buildpacks', 'images/stage.sh'], base);
  const system = await hashOf(
    checkout,
    ['images/system', 'src', 'bin', 'buildpacks', ...nodeFiles],
    base,
  );
  return {
    base: `gantry/base:${base}`,
    stack: `gantry/stack:${stack}`,
    system: `gantry/system:${system}`,
    version: system,
  };
}

/** Makes what is missing. */
export async function ensureImages(checkout: string, progress: Progress): Promise<PlatformImages> {
  const tags = await imageTags(checkout);
  if (!(await hasImage(tags.base))) {
    await progress.step('making the base image', (detail) => makeBase(checkout, tags.base, detail));
  }
  for (const kind of ['stack', 'system'] as const) {
    if (await hasImage(tags[kind])) continue;
    await progress.step(`building the ${kind} image`, (detail) =>
      build({ checkout, kind, tags, detail }),
    );
    await run('docker', ['tag', tags[kind], `gantry/${kind}:latest`]);
  }
  return tags;
}

async function hasImage(tag: string): Promise<boolean> {
  const found = await run('docker', ['images', '--quiet', tag]);
  return found.trim() !== '';
}

export async function imageId(tag: string): Promise<string> {
  return (await run('docker', ['image', 'inspect', '--format', '{{.Id}}', tag])).trim();
}

type Detail = (text: string) => void;

/** From a registry where one is reachable (what is installed on top is the same), else from the distribution's packages. */
async function makeBase(checkout: string, tag: string, detail: Detail): Promise<void> {
  const rootTag = `${tag}-root`;
  const pulled = await run('timeout', [
    '20',
    'docker',
    'pull',
    '--quiet',
    'debian:trixie-slim',
  ]).then(
    () => true,
    () => false,
  );
  if (pulled) {
    await run('docker', ['tag', 'debian:trixie-slim', rootTag]);
  } else {
    detail('no registry is reachable: from packages');
    const tool = `. script/bootstrap.sh; has mmdebstrap || install_packages 'the base image' mmdebstrap`;
    const pipe = `set -o pipefail; ${tool}; images/base.sh | docker import - ${rootTag}`;
    await run('bash', ['-c', pipe], { cwd: checkout });
  }
  await build({ checkout, kind: 'base', tags: { base: tag }, from: rootTag, detail });
}

interface BuildRequest {
  checkout: string;
  kind: 'base' | 'stack' | 'system';
  tags: Partial<PlatformImages>;
  from?: string;
  detail: Detail;
}

async function build({ checkout, kind, tags, from, detail }: BuildRequest): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-image-'));
  try {
    await run('bash', ['images/stage.sh', kind, join(folder, 'context')], { cwd: checkout });
    const args = buildArguments({
      tag: tags[kind] ?? '',
      from: from ?? tags.base ?? '',
      context: join(folder, 'context'),
    });
    // The classic builder is in every engine; the newer one is a plugin that a machine may lack.
    await run('env', ['DOCKER_BUILDKIT=0', 'docker', ...args], { onOutput: detail });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function buildArguments(options: { tag: string; from: string; context: string }): string[] {
  return [
    'build',
    '--rm',
    '--force-rm',
    '--tag',
    options.tag,
    '--build-arg',
    `FROM=${options.from}`,
    options.context,
  ];
}
