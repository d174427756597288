// One Dockerfile build: the archive goes to the engine as it is; the image says what runs unless a Procfile does.

import type { Readable } from 'node:stream';
import { hasCode, toAppError } from '#core/errors';
import type { HostClient } from '#layer0/host/client';
import { type BuildOptions, type Image, imageLabels } from '#layer0/images/wire';
import type { BuilderConfig } from '../config.ts';
import type { CommandLines } from '../decide/process-types.ts';
import { builderErrors } from '../errors.ts';
import type { BuildOutput, BuildRequest, BuildResult } from '../wire.ts';

export interface DockerfileBuild {
  request: BuildRequest;
  openSource(): Readable;
  commands: CommandLines | undefined;
  tag: string;
  signal: AbortSignal;
}

export async function* buildWithDockerfile(
  { host, config }: { host: Pick<HostClient, 'build'>; config: BuilderConfig },
  build: DockerfileBuild,
): AsyncGenerator<BuildOutput> {
  const { request, signal } = build;
  const tar = build.openSource();
  const options: BuildOptions = {
    dockerfile: 'Dockerfile',
    tag: build.tag,
    labels: {
      [imageLabels.app]: request.app,
      [imageLabels.kind]: 'app',
      'gantry.commit': request.commit,
    },
    buildArgs: {},
    memoryBytes: config.memoryBytes,
    timeoutMs: request.timeoutMs,
  };
  yield { line: '-----> Dockerfile' };
  try {
    const where = request.host === undefined ? {} : { host: request.host };
    for await (const output of host.build(tar, options, signal, request.host))
      if ('line' in output) yield output;
      else yield { result: { ...resultOf(output.image, build.commands), ...where } };
  } catch (cause) {
    if (!hasCode(cause, 'images.buildFailed')) throw cause;
    throw builderErrors.failed(`the build failed: ${toAppError(cause).message}`, { cause });
  } finally {
    tar.destroy();
  }
}

function resultOf(image: Image, commands: CommandLines | undefined): BuildResult {
  const [port] = image.exposedPorts;
  const web = port === undefined ? {} : { port };
  const processes: BuildResult['processes'] = {};
  for (const [type, line] of Object.entries(commands ?? {}))
    processes[type] = {
      entrypoint: ['/bin/sh', '-c'],
      command: [line],
      ...(type === 'web' ? web : {}),
    };
  return {
    image,
    processes: commands ? processes : { web },
    buildpack: 'dockerfile',
  };
}
