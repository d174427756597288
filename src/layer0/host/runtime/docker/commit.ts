// An ended container's file system as an image with exactly the configuration that was asked for.
// The engine merges the container's own environment and labels into what it commits, opened secrets among them; so its
// commit is only a source of layers: a configuration of our own is loaded over the same layers, and the commit deleted.

import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { type Pack, pack } from 'tar-stream';
import type { CommitOptions } from '#layer0/images/wire';
import type { InspectedImage } from './image-body.ts';

/** Marks the engine's own commit until it is replaced, so that a crash in between leaves something collectable. */
export const intermediateLabel = { 'gantry.kind': 'intermediate' } as const;

/** The body of `POST /commit`: every variable of the container is overwritten with nothing. */
export function commitBody(containerEnv: string[]): Record<string, unknown> {
  const names = containerEnv.map((entry) => entry.split('=')[0] ?? '');
  return { Env: names.map((name) => `${name}=`), Labels: intermediateLabel };
}

/** The image configuration, as bytes: their digest is the image's id. */
export function imageConfig(layersOf: InspectedImage, options: CommitOptions): Buffer {
  const config = {
    Cmd: options.command,
    Entrypoint: options.entrypoint.length > 0 ? options.entrypoint : null,
    User: options.user,
    WorkingDir: options.workingDir,
    Env: Object.entries(options.env).map(([name, value]) => `${name}=${value}`),
    Labels: options.labels,
  };
  return Buffer.from(
    JSON.stringify({
      architecture: layersOf.Architecture,
      ...(layersOf.Variant ? { variant: layersOf.Variant } : {}),
      os: layersOf.Os,
      created: layersOf.Created,
      config,
      rootfs: { type: 'layers', diff_ids: layersOf.RootFS.Layers ?? [] },
    }),
  );
}

/** A `docker save` stream with no layer in it: the engine takes the layers it already has by their digests. */
export function configOnlyArchive(config: Buffer, layers: number) {
  const digest = createHash('sha256').update(config).digest('hex');
  const archive: Pack = pack();
  const manifest = [
    {
      Config: `${digest}.json`,
      RepoTags: null,
      Layers: Array.from({ length: layers }, (_, index) => `${index}/layer.tar`),
    },
  ];
  archive.entry({ name: `${digest}.json` }, config);
  archive.entry({ name: 'manifest.json' }, JSON.stringify(manifest));
  archive.finalize();
  return { id: `sha256:${digest}`, archive: Readable.from(archive) };
}
