// Images of this machine: what is here, import, build, commit, tag, and the collector. One host needs no registry; this
// is the door that one fits behind.

import type { Readable } from 'node:stream';
import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import type { Log } from '#core/log';
import { createAdmission } from './admission.ts';
import type { BuildOutput, ImageEngine } from './client.ts';
import { imagesToCollect } from './decide/collect.ts';
import { imageErrors } from './errors.ts';
import { importMarks, pulledName } from './imported.ts';
import { publishImage, pullImage, type RegistryEngine } from './publish.ts';
import type { Registry } from './registry.ts';
import { SharedCalls } from './shared-calls.ts';
import { type Others, spreadFromHolder, spreadImage } from './spread.ts';
import type { BuildOptions, CommitOptions, Image } from './wire.ts';

export { imagesToForget } from './decide/forget.ts';
export { Registry } from './registry.ts';
export type { Others } from './spread.ts';

/** Builds at once: each has a memory limit of its own, and two keep two cores busy. */
export const buildsAtOnce = 2;
export const maxWaitingBuilds = 16;
/** Imports at once: the engine unpacks each to its disk. */
export const importsAtOnce = 2;
export const maxWaitingImports = 16;
/** Longest a fresh image waits for the release that names it. */
export const defaultMinAgeMs = 60 * 60_000;

export interface ImagesDeps {
  runtime: ImageEngine;
  clock: Clock;
  log: Log;
  /** The container of an ended job, for `commit`. */
  containerOf?(jobId: string): Promise<string | undefined>;
  /** The engine's network for RUN steps that ask for none. */
  buildNetwork?(): Promise<string>;
  /** Of the cluster; absent, or none in it, where a machine is alone. */
  registries?: { list(): readonly Registry[]; engine: RegistryEngine };
  /** The archive of an image from another machine; undefined when none has it. For what no registry has yet. */
  fetch?(imageId: string): Promise<Readable | undefined>;
  /** The other machines, for `spread`; absent where there are none. */
  others?: Others;
  /** A last look before an image is removed, e.g. at jobs placed here a moment ago. */
  isInUse?(imageId: string): boolean;
}

export interface Images extends Component {
  list(): Promise<Image[]>;
  /** images.notFound when it is not on this machine. */
  inspect(reference: string): Promise<Image>;
  /** Waits for its turn. images.busy, images.badArchive. */
  import(tar: Readable): Promise<Image[]>;
  /** As a `docker save` stream, with its name. images.notFound. */
  archive(reference: string): Promise<Readable>;
  /** Brings an image here from another machine that has it; false when none does. Is it here already, nothing is done. */
  ensure(imageId: string): Promise<boolean>;
  /** Sees to it that a second machine holds the image. The ids of the others that do; none when nobody else can. */
  spread(imageId: string): Promise<string[]>;
  /** Puts an image of this machine into the registries that lack it. The machines of those that have it now. */
  publish(imageId: string): Promise<string[]>;
  /** Lines, then the image; waits for its turn. images.busy, images.buildFailed, core.aborted. */
  build(tar: Readable, options: BuildOptions, signal: AbortSignal): AsyncGenerator<BuildOutput>;
  commit(jobId: string, options: CommitOptions): Promise<Image>;
  tag(id: string, reference: string): Promise<void>;
  /** Removes what may go and answers the ids that went. `keep`: every image that a release or a job names. */
  collect(keep: ReadonlySet<string>, minAgeMs?: number): Promise<string[]>;
  /** The same for the images of an app that is gone, however fresh. */
  collectOf(app: string, keep: ReadonlySet<string>): Promise<string[]>;
}

export function createImages(deps: ImagesDeps): Images {
  const { runtime, clock } = deps;
  const admission = createAdmission({ atOnce: buildsAtOnce, maxWaiting: maxWaitingBuilds });
  const imports = createAdmission({ atOnce: importsAtOnce, maxWaiting: maxWaitingImports });
  const firstSeenMs = new Map<string, number>();
  const fetches = new SharedCalls<boolean>();
  const stopping = new AbortController();
  let collected = 0;
  const see = (image: Image) => {
    firstSeenMs.set(image.id, clock.monotonicMs());
    return image;
  };
  return {
    start: async () => {},
    stop: async () => stopping.abort(),
    status: () => ({ images: { builds: admission.status(), collected } }),
    list: () => runtime.images(),
    async inspect(reference) {
      const image = await runtime.image(reference);
      if (image) return image;
      throw imageErrors.notFound(`image ${reference} is not on this machine: import or build it`);
    },
    async import(tar) {
      const leave = await imports.enter(stopping.signal);
      try {
        return (await importImages(runtime, tar)).map(see);
      } finally {
        leave();
      }
    },
    async archive(reference) {
      const image = await this.inspect(reference);
      // By the name that was asked for, or else by one that it has, so that it has it there too.
      const isName = image.tags.includes(reference);
      return runtime.save(isName ? reference : (image.tags[0] ?? image.id));
    },
    ensure: (imageId) => fetches.once(imageId, () => fetchImage(deps, imageId, see)),
    publish: (imageId) => publish(deps, imageId),
    async spread(imageId) {
      if (deps.others && !(await runtime.image(imageId)))
        return spreadFromHolder(deps.others, imageId);
      const holders = await publish(deps, imageId);
      return deps.others ? spreadImage(deps.others, imageId, { holders, log: deps.log }) : holders;
    },
    async *build(tar, options, signal) {
      const stop = AbortSignal.any([signal, stopping.signal]);
      const leave = await admission.enter(stop);
      try {
        const networkMode = options.networkMode ?? (await deps.buildNetwork?.());
        const call = networkMode === undefined ? options : { ...options, networkMode };
        for await (const output of runtime.build(tar, call, stop)) {
          if ('image' in output) see(output.image);
          yield output;
        }
      } finally {
        leave();
      }
    },
    async commit(jobId, options) {
      const container = await deps.containerOf?.(jobId);
      if (container === undefined)
        throw imageErrors.noContainer(`could not commit job ${jobId}: no container of it is here`);
      return see(await runtime.commit(container, options));
    },
    tag: (id, reference) => runtime.tag(id, reference),
    async collect(keep, minAgeMs = defaultMinAgeMs) {
      const removed = await collectImages(deps, firstSeenMs, { keep, minAgeMs });
      collected += removed.length;
      return removed;
    },
    collectOf: (app, keep) => collectImages(deps, firstSeenMs, { keep, minAgeMs: 0, app }),
  };
}

/** Names and all as the stream has them; the names that mark them are not among the answer's. */
async function importImages(runtime: ImageEngine, tar: Readable): Promise<Image[]> {
  const before = new Map((await runtime.images()).map((image) => [image.id, image]));
  const loaded = await runtime.load(tar);
  for (const image of loaded)
    for (const mark of importMarks(image, before.get(image.id))) await runtime.tag(image.id, mark);
  return loaded;
}

async function publish({ registries, log }: ImagesDeps, imageId: string): Promise<string[]> {
  if (!registries) return [];
  const holders = await publishImage(registries.list(), registries.engine, imageId, log);
  return holders.map(({ host }) => host);
}

async function fetchImage(
  { runtime, registries, fetch, log }: ImagesDeps,
  imageId: string,
  see: (image: Image) => Image,
): Promise<boolean> {
  if (await runtime.image(imageId)) return true;
  if (registries && (await pull(registries, imageId, log))) {
    const image = await runtime.image(imageId);
    if (image) see(image);
    return image !== undefined;
  }
  const archive = await fetch?.(imageId);
  if (!archive) return false;
  for (const image of await runtime.load(archive)) see(image);
  const image = await runtime.image(imageId);
  log.info(
    { image: imageId, isHere: image !== undefined },
    'fetched an image from another machine',
  );
  return image !== undefined;
}

/** A registry that fails is no reason to go without: a machine that has the image may give it. */
async function pull(
  { list, engine }: NonNullable<ImagesDeps['registries']>,
  imageId: string,
  log: Log,
): Promise<boolean> {
  try {
    return await pullImage(list(), engine, imageId, pulledName(imageId));
  } catch (error) {
    log.warn({ err: error, image: imageId }, 'no registry gave an image: a machine is asked');
    return false;
  }
}

/** One that cannot be removed does not keep the others: the next pass tries it again. */
async function collectImages(
  { runtime, clock, log, isInUse }: ImagesDeps,
  firstSeenMs: Map<string, number>,
  wanted: { keep: ReadonlySet<string>; minAgeMs: number; app?: string },
): Promise<string[]> {
  const nowMs = clock.monotonicMs();
  const images = await runtime.images();
  rememberSeen(firstSeenMs, images, nowMs);
  const removed: string[] = [];
  for (const id of imagesToCollect({ images, firstSeenMs, nowMs, ...wanted })) {
    if (isInUse?.(id)) continue;
    try {
      if (await runtime.removeImage(id)) removed.push(id);
    } catch (error) {
      log.warn({ err: error, image: id }, 'could not remove an image; the next pass tries again');
    }
  }
  if (removed.length > 0) log.info({ images: removed }, 'removed images that nothing names');
  return removed;
}

function rememberSeen(firstSeenMs: Map<string, number>, images: Image[], nowMs: number): void {
  const present = new Set(images.map((image) => image.id));
  for (const id of firstSeenMs.keys()) if (!present.has(id)) firstSeenMs.delete(id);
  for (const id of present) if (!firstSeenMs.has(id)) firstSeenMs.set(id, nowMs);
}
