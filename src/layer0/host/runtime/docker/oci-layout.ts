// What an engine with containerd's image store saves and loads: blobs, each named by its digest, and an index. There an
// image's id is the digest of its manifest, which names its configuration and its layers.

import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { extract, type Pack, pack } from 'tar-stream';
import { engineErrors } from '../errors.ts';

/** Manifests are a few kilobytes; a blob that is larger is none. */
const maxManifestBytes = 4 * 1024 * 1024;
const indexType = 'application/vnd.oci.image.index.v1+json';

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

export interface Manifest {
  schemaVersion: number;
  mediaType: string;
  config: Descriptor;
  layers: Descriptor[];
}

/** The manifest of this digest. Layers that come before it are read over; what follows is not asked for. */
export async function readManifest(archive: Readable, digest: string): Promise<Manifest> {
  const reader = extract();
  archive.once('error', (error) => reader.destroy(error));
  archive.pipe(reader);
  try {
    for await (const entry of reader) {
      const isIt = entry.header.name === blobPath(digest);
      if (isIt && (entry.header.size ?? 0) <= maxManifestBytes)
        return parseManifest(await text(entry), digest);
      entry.resume();
    }
  } finally {
    archive.destroy();
  }
  throw engineErrors.failed(`could not read the manifest ${digest}: the engine did not save it`);
}

function parseManifest(json: string, digest: string): Manifest {
  const manifest = JSON.parse(json) as Partial<Manifest>;
  const { schemaVersion, mediaType, config, layers } = manifest;
  if (schemaVersion && mediaType && config && layers)
    return { schemaVersion, mediaType, config, layers };
  throw engineErrors.failed(`could not read the manifest ${digest}: it names no layers`);
}

/** The image with another configuration, and no layer in it: the engine takes those it already has by their digests. */
export function reconfiguredArchive(manifest: Manifest, config: Buffer) {
  const configDigest = digestOf(config);
  const changed = Buffer.from(
    JSON.stringify({
      ...manifest,
      config: { ...manifest.config, digest: configDigest, size: config.length },
    }),
  );
  const id = digestOf(changed);
  const { mediaType } = manifest;
  const index = {
    schemaVersion: 2,
    mediaType: indexType,
    manifests: [{ mediaType, digest: id, size: changed.length }],
  };
  const archive: Pack = pack();
  archive.entry({ name: blobPath(configDigest) }, config);
  archive.entry({ name: blobPath(id) }, changed);
  archive.entry({ name: 'index.json' }, JSON.stringify(index));
  archive.entry({ name: 'oci-layout' }, JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  archive.finalize();
  return { id, archive: Readable.from(archive) };
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}
