// The archive that Engine 26 with containerd's image store saved of a commit, and what is made of it.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { extract } from 'tar-stream';
import { tarOf } from '../contract-subject.ts';
import { readManifest, reconfiguredArchive } from './oci-layout.ts';

const configDigest = 'sha256:0d374ef19edb707fb7c757f88fbac6e6b54a3a8204f003db79ba6c12a49bd8bc';
const layerDigest = 'sha256:91c4b8964c21fd88da4eb882eb1c6abe6bc2cc5d09511cdad885b5e07198aaca';
const diffId = 'sha256:e96ebcfebdbdf84a20e2eca4210b0e724e2eb6e05e13a8206ac476bf7e16dde2';
const manifestDigest = 'sha256:32301bbf7ab013c9b5f88575e6a3919bd2af7310cc492f14c2eacfb4db99a29a';
const types = 'application/vnd.oci.image';
const configBlob = {
  created: '2026-11-21T10:51:07.094192919Z',
  architecture: 'amd64',
  os: 'linux',
  rootfs: { type: 'layers', diff_ids: [diffId] },
  config: { Env: ['SECRET='], Cmd: ['/hello'], Labels: { 'gantry.kind': 'intermediate' } },
};
/** Byte for byte, as its digest shows. */
const manifestBlob = JSON.stringify(
  {
    mediaType: `${types}.manifest.v1+json`,
    schemaVersion: 2,
    config: { mediaType: `${types}.config.v1+json`, digest: configDigest, size: 725 },
    layers: [
      {
        mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
        digest: layerDigest,
        size: 104,
      },
    ],
  },
  undefined,
  4,
);
const layerBlob = Buffer.from(
  'H4sIAAAAAAAA/8pIzcnJZ6AtMDAwMDAzMQHTBgYG6DRIlsHQ1NjAwMjc2MzYiMHA0MDIzJxBwYDG7gKD0uKSxCIGA4rtQvfcEAHg+OcaaFeMglEwCkbBKKA3AAQAAP//ujMO4gAIAAA=',
  'base64',
);
const pathOf = (digest: string) => `blobs/sha256/${digest.slice('sha256:'.length)}`;

function saved(): Readable {
  const manifest = { mediaType: `${types}.manifest.v1+json`, digest: manifestDigest, size: 532 };
  return tarOf({
    [pathOf(configDigest)]: JSON.stringify(configBlob),
    [pathOf(manifestDigest)]: manifestBlob,
    [pathOf(layerDigest)]: layerBlob,
    'index.json': JSON.stringify({ schemaVersion: 2, manifests: [manifest] }),
    'oci-layout': '{"imageLayoutVersion":"1.0.0"}',
  });
}

async function filesOf(archive: Readable): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const reader = extract();
  archive.pipe(reader);
  for await (const entry of reader) files.set(entry.header.name, await text(entry));
  return files;
}

test('the manifest of an image is found by its id, with the layers it names', async () => {
  assert.equal(digestOf(manifestBlob), manifestDigest);
  assert.equal(digestOf(layerBlob), layerDigest);
  const { config, layers } = await readManifest(saved(), manifestDigest);
  assert.equal(config.digest, configDigest);
  assert.deepEqual(
    layers.map(({ digest, size }) => ({ digest, size })),
    [{ digest: layerDigest, size: layerBlob.length }],
  );
});

test('the rest of the archive is not asked for', async () => {
  const archive = saved();
  await readManifest(archive, manifestDigest);
  assert.equal(archive.destroyed, true);
});

test('an archive without the manifest, and one that is cut off, are told', async () => {
  const other = `sha256:${'0'.repeat(64)}`;
  await assert.rejects(readManifest(saved(), other), { code: 'engine.failed', message: /save/ });
  const index = tarOf({ [pathOf(other)]: '{"schemaVersion":2,"manifests":[]}' });
  await assert.rejects(readManifest(index, other), { code: 'engine.failed', message: /no layers/ });
  const cut = Readable.from(
    (async function* () {
      yield Buffer.alloc(100);
      throw new Error('the engine hung up');
    })(),
  );
  await assert.rejects(readManifest(cut, other), /hung up/);
});

test('another configuration makes another image over the same layers, without any of them in the archive', async () => {
  const manifest = await readManifest(saved(), manifestDigest);
  const config = Buffer.from(JSON.stringify({ ...configBlob, config: { Cmd: ['serve'] } }));
  const { id, archive } = reconfiguredArchive(manifest, config);
  const files = await filesOf(archive);
  const index = JSON.parse(files.get('index.json') ?? '') as { manifests: { digest: string }[] };
  assert.deepEqual(
    index.manifests.map(({ digest }) => digest),
    [id],
  );
  const made = files.get(pathOf(id)) ?? '';
  assert.equal(digestOf(made), id);
  const read = JSON.parse(made) as typeof manifest;
  assert.deepEqual(read.layers, manifest.layers);
  assert.equal(read.config.digest, digestOf(config));
  assert.equal(read.config.size, config.length);
  assert.equal(files.get(pathOf(read.config.digest)), config.toString());
  assert.equal(files.has(pathOf(layerDigest)), false);
  assert.match(files.get('oci-layout') ?? '', /imageLayoutVersion/);
});

function digestOf(bytes: string | Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
