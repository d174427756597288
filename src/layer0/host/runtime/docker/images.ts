// Images of the engine: look, load, build, commit, tag, remove.

import type { Readable } from 'node:stream';
import { hasCode } from '#core/errors';
import { fromNdjson } from '#core/stream';
import { imageErrors, parseReference } from '#layer0/images/client';
import {
  type BuildOptions,
  type CommitOptions,
  type Image,
  unfinishedName,
} from '#layer0/images/wire';
import { engineErrors } from '../errors.ts';
import type { Runtime } from '../runtime.ts';
import { type BuildMessage, runBuild } from './build.ts';
import { type BuildLayer, BuildLayers } from './build-layers.ts';
import { commitBody, configOnlyArchive, imageConfig } from './commit.ts';
import type { InspectedContainer } from './container-body.ts';
import { absentIsUndefined, type Engine, ignore, mapLimited } from './containers.ts';
import { type InspectedImage, toImage } from './image-body.ts';
import { readManifest, reconfiguredArchive } from './oci-layout.ts';
import type { EngineTransport } from './transport.ts';

type ImageCalls = Pick<
  Runtime,
  'image' | 'images' | 'load' | 'save' | 'build' | 'commit' | 'tag' | 'removeImage'
>;

/** An image of several gigabytes from a slow uploader. */
const loadTimeoutMs = 30 * 60_000;
/** Until the first byte: an engine of before prepares the whole archive. */
const saveTimeoutMs = 10 * 60_000;
/** The file system of a large build job. */
const commitTimeoutMs = 10 * 60_000;
const inspectsAtOnce = 8;
/** How an engine that uses containerd's image store says so. */
const containerdStore = 'io.containerd.snapshotter.v1';

export function createImageCalls(engine: Engine): ImageCalls {
  const { transport } = engine;
  return {
    image: (reference) => findImage(transport, reference),
    async images() {
      const call = { method: 'GET', path: '/images/json', attempt: 'list images' } as const;
      const ids = (await transport.json<{ Id: string }[]>(call)).map((summary) => summary.Id);
      const find = (id: string) => findImage(transport, id);
      const found = await mapLimited([...new Set(ids)], inspectsAtOnce, find);
      return found.filter((each) => each !== undefined);
    },
    load: (tar) => loadImages(transport, tar),
    async save(reference) {
      await demand(transport, reference);
      return saveImage(transport, reference);
    },
    async *build(tar, options, signal) {
      parseReference(options.tag);
      const id = yield* nameLayers(engine, options, runBuild(engine, tar, options, signal));
      yield { image: toImage(await demand(transport, id)) };
    },
    commit: (containerId, options) => commitContainer(transport, containerId, options),
    tag: (id, reference) => tagImage(transport, id, reference),
    removeImage: (id) => removeImage(transport, id),
  };
}

async function inspectImage(transport: EngineTransport, reference: string) {
  const path = `/images/${encodePath(reference)}/json`;
  const call = { method: 'GET', path, attempt: `inspect image ${reference}` } as const;
  try {
    return await absentIsUndefined(transport.json<InspectedImage>(call));
  } catch (error) {
    // A text that can name no image is refused by newer engines instead of not found.
    if (hasCode(error, 'engine.refused')) return undefined;
    throw error;
  }
}

async function findImage(transport: EngineTransport, reference: string) {
  const seen = await inspectImage(transport, reference);
  return seen && toImage(seen);
}

async function demand(transport: EngineTransport, reference: string): Promise<InspectedImage> {
  const seen = await inspectImage(transport, reference);
  if (seen) return seen;
  throw imageErrors.notFound(`image ${reference} is not on this machine`);
}

/** Passes the lines on. What is left at the end is an earlier stage's or a failed build's: the last stage has its image. */
async function* nameLayers(
  { transport, clock }: Engine,
  options: BuildOptions,
  build: AsyncGenerator<{ line: string }, string>,
): AsyncGenerator<{ line: string }, string> {
  const startedAt = clock.now();
  const layers = new BuildLayers();
  const nameOf = ({ stage }: BuildLayer) =>
    `${unfinishedName}:${parseReference(options.tag).tag}-${stage}`;
  try {
    for (;;) {
      const step = await build.next();
      if (step.done) {
        if (layers.last) await deleteReference(transport, nameOf(layers.last));
        return step.value;
      }
      const layer = layers.take(step.value.line);
      const seen = layer && (await findImage(transport, layer.id));
      const isNew = seen?.tags.length === 0 && seen.createdAt >= startedAt;
      if (layer && isNew) await tagImage(transport, seen.id, nameOf(layer));
      yield step.value;
    }
  } finally {
    // Whoever stops reading here ends the build.
    await build.return('');
  }
}

async function loadImages(transport: EngineTransport, tar: Readable): Promise<Image[]> {
  const call = { method: 'POST', path: '/images/load', attempt: 'load an image' } as const;
  const query = { quiet: 1 };
  const names: string[] = [];
  try {
    const response = await transport.open({ ...call, query, tar, timeoutMs: loadTimeoutMs });
    for await (const message of fromNdjson<BuildMessage>(response)) {
      if (message.error !== undefined) throw engineErrors.refused(message.error);
      const match = /^Loaded image(?: ID)?: (\S+)/.exec(message.stream ?? '');
      if (match?.[1]) names.push(match[1]);
    }
  } catch (error) {
    throw isArchiveFault(error) ? badArchive(messageOf(error), error) : error;
  }
  if (names.length === 0) throw badArchive('there is no image in it');
  const loaded = await mapLimited(names, inspectsAtOnce, (name) => demand(transport, name));
  return loaded.map(toImage);
}

async function commitContainer(
  transport: EngineTransport,
  containerId: string,
  options: CommitOptions,
): Promise<Image> {
  parseReference(options.tag);
  const attempt = `commit container ${containerId}`;
  const path = `/containers/${containerId}/json`;
  const source = await transport.json<InspectedContainer>({ method: 'GET', path, attempt });
  const { Id: intermediate } = await transport.json<{ Id: string }>({
    method: 'POST',
    path: '/commit',
    attempt,
    query: { container: source.Id, pause: 1 },
    body: commitBody(source.Config.Env ?? []),
    timeoutMs: commitTimeoutMs,
  });
  try {
    const seen = await demand(transport, intermediate);
    const config = imageConfig(seen, options);
    const { id, archive } = (await isImageAManifest(transport))
      ? reconfiguredArchive(await saveManifest(transport, intermediate), config)
      : configOnlyArchive(config, seen.RootFS.Layers?.length ?? 0);
    await loadImages(transport, archive);
    await tagImage(transport, id, options.tag);
    return toImage(await demand(transport, id));
  } finally {
    await deleteReference(transport, intermediate);
  }
}

/** In containerd's image store an image's id is the digest of its manifest; in the engine's own, of its configuration. */
async function isImageAManifest(transport: EngineTransport): Promise<boolean> {
  const call = { method: 'GET', path: '/info', attempt: 'ask for its image store' } as const;
  const { DriverStatus } = await transport.json<{ DriverStatus?: string[][] | null }>(call);
  return (DriverStatus ?? []).some(
    ([name, value]) => name === 'driver-type' && value === containerdStore,
  );
}

async function saveManifest(transport: EngineTransport, id: string) {
  return readManifest(await saveImage(transport, id), id);
}

function saveImage(transport: EngineTransport, reference: string) {
  const call = { method: 'GET', path: `/images/${encodePath(reference)}/get` } as const;
  return transport.open({ ...call, attempt: `save image ${reference}`, timeoutMs: saveTimeoutMs });
}

/** False when something uses it. */
async function deleteReference(transport: EngineTransport, reference: string): Promise<boolean> {
  const call = { method: 'DELETE', path: `/images/${encodePath(reference)}` } as const;
  try {
    const attempt = `remove image ${reference}`;
    await transport.json({ ...call, attempt }).catch(ignore('engine.notFound'));
    return true;
  } catch (error) {
    if (hasCode(error, 'engine.conflict')) return false;
    throw error;
  }
}

async function tagImage(transport: EngineTransport, id: string, reference: string): Promise<void> {
  const { name, tag } = parseReference(reference);
  const call = { method: 'POST', path: `/images/${encodePath(id)}/tag` } as const;
  const query = { repo: name, tag };
  try {
    await transport.json({ ...call, attempt: `tag image ${id} as ${reference}`, query });
  } catch (error) {
    if (!hasCode(error, 'engine.notFound')) throw error;
    throw imageErrors.notFound(`image ${id} is not on this machine`, { cause: error });
  }
}

/** Never by force: the engine refuses by itself when a container uses the image, also one made this very moment. */
async function removeImage(transport: EngineTransport, id: string): Promise<boolean> {
  const seen = await inspectImage(transport, id);
  if (!seen) return true;
  if (await isImageUsed(transport, seen.Id)) return false;
  const { tags } = toImage(seen);
  for (const reference of tags) await deleteReference(transport, reference);
  if (tags.length === 0) await deleteReference(transport, seen.Id);
  if (!(await inspectImage(transport, seen.Id))) return true;
  // Used after all, by a newer container or as the base of another image: it keeps its names.
  for (const reference of tags) await tagImage(transport, seen.Id, reference);
  return false;
}

async function isImageUsed(transport: EngineTransport, imageId: string): Promise<boolean> {
  const call = { method: 'GET', path: '/containers/json', attempt: 'list containers' } as const;
  const containers = await transport.json<{ ImageID: string }[]>({ ...call, query: { all: 1 } });
  return containers.some((container) => container.ImageID === imageId);
}

/** Slashes of a name stay: the engine matches the whole rest of the path. */
function encodePath(reference: string): string {
  return reference.split('/').map(encodeURIComponent).join('/');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The engine says 500 for most malformed archives; a full disk is the machine's fault, not the archive's. */
function isArchiveFault(error: unknown): boolean {
  if (/no space left/.test(messageOf(error))) return false;
  return (
    hasCode(error, 'engine.failed') ||
    hasCode(error, 'engine.refused') ||
    hasCode(error, 'engine.notFound')
  );
}

function badArchive(reason: string, cause?: unknown) {
  const text = `could not read the image: ${reason}. It must be what \`docker save\` writes.`;
  return imageErrors.badArchive(text, { cause });
}
