// The image half of the scripted engine: reads the same archives and build contexts as a real one, keeps only what an
// Image says, and runs just enough of a Dockerfile to succeed, fail at a step, or take time.

import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { extract, pack as packTar } from 'tar-stream';
import type { Clock } from '#core/clock';
import { coreErrors } from '#core/errors';
import { imageErrors, parseReference } from '#layer0/images/client';
import type { BuildOptions, Image } from '#layer0/images/wire';
import { BuildProgress } from './docker/build.ts';
import { type InspectedImage, toImage } from './docker/image-body.ts';

export class FakeImages {
  readonly #images = new Map<string, Image>();
  /** Of images that were loaded: their id is its digest. */
  readonly #configs = new Map<string, string>();
  readonly #clock: Clock;
  #made = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  find(reference: string): Image | undefined {
    const image = this.#images.get(reference);
    if (image) return copyOf(image);
    const name = fullName(reference);
    const tagged = [...this.#images.values()].find(({ tags }) => tags.includes(name));
    return tagged && copyOf(tagged);
  }

  list(): Image[] {
    return [...this.#images.values()].map(copyOf);
  }

  /** Adds an image, or its tag to the one that has its id. */
  add(image: Partial<Image>, reference?: string): Image {
    const id = image.id ?? digestOf(`image ${this.#made++}`);
    const empty = { sizeBytes: 1, command: [], entrypoint: [], exposedPorts: [] };
    const record: Image = {
      ...empty,
      id,
      createdAt: this.#clock.now(),
      user: '',
      workingDir: '',
      labels: {},
      ...image,
      tags: [],
    };
    if (!this.#images.has(id)) this.#images.set(id, record);
    for (const tag of reference === undefined ? (image.tags ?? []) : [reference]) this.tag(id, tag);
    return copyOf(this.#images.get(id) ?? record);
  }

  tag(idOrName: string, reference: string): void {
    parseReference(reference);
    const id = this.find(idOrName)?.id ?? '';
    const image = this.#images.get(id);
    if (!image) throw imageErrors.notFound(`image ${idOrName} is not on this machine`);
    const name = fullName(reference);
    for (const other of this.#images.values())
      other.tags = other.tags.filter((tag) => tag !== name);
    image.tags.push(name);
  }

  remove(id: string): void {
    this.#images.delete(id);
  }

  async load(tar: Readable): Promise<Image[]> {
    const files = await readTar(tar).catch((cause: unknown) => {
      throw imageErrors.badArchive('could not read the image: it is no tar', { cause });
    });
    const manifest = files.get('manifest.json');
    if (manifest === undefined)
      throw imageErrors.badArchive('could not read the image: there is no manifest.json in it');
    const entries = JSON.parse(manifest) as { Config: string; RepoTags: string[] | null }[];
    return entries.map(({ Config, RepoTags }) => {
      const config = files.get(Config) ?? '{}';
      const parsed = JSON.parse(config) as { config?: InspectedImage['Config']; created?: string };
      const image = toImage({
        Id: `sha256:${createHash('sha256').update(config).digest('hex')}`,
        RepoTags,
        Created: parsed.created ?? '',
        Size: 1,
        Architecture: '',
        Os: '',
        Config: parsed.config ?? {},
        RootFS: {},
      });
      this.#configs.set(image.id, config);
      return this.add(image);
    });
  }

  /** The archive it was loaded from; what was only added has none. */
  save(reference: string): Readable {
    const image = this.find(reference);
    const config = image && this.#configs.get(image.id);
    if (!image || config === undefined)
      throw imageErrors.notFound(`image ${reference} is not on this machine`);
    const archive = packTar();
    archive.entry({ name: 'config.json' }, config);
    const manifest = [{ Config: 'config.json', RepoTags: image.tags, Layers: [] }];
    archive.entry({ name: 'manifest.json' }, JSON.stringify(manifest));
    archive.finalize();
    return Readable.from(archive);
  }

  async *build(tar: Readable, options: BuildOptions, signal: AbortSignal) {
    parseReference(options.tag);
    const files = await readTar(tar);
    const dockerfile = files.get(options.dockerfile);
    if (dockerfile === undefined)
      throw imageErrors.buildFailed(`the build failed: there is no ${options.dockerfile}`);
    const end = this.#clock.monotonicMs() + options.timeoutMs;
    const steps = dockerfile.split('\n').filter((line) => line.trim() !== '');
    const progress = new BuildProgress();
    for (const [index, step] of steps.entries()) {
      const stream = `Step ${index + 1}/${steps.length} : ${step}\n`;
      for (const line of progress.take({ stream })) yield { line };
      await this.#pause(step, { end, options }, signal);
      const fault = this.#faultOf(step);
      if (fault) progress.take(fault);
    }
    const labels = { ...options.labels };
    yield {
      image: this.add(
        { labels, id: digestOf(`${dockerfile}${JSON.stringify(labels)}`) },
        options.tag,
      ),
    };
  }

  #faultOf(step: string) {
    const code = /^RUN .*exit (\d+)/.exec(step)?.[1];
    if (code) {
      const message = `The command '/bin/sh -c ${step.slice(4)}' returned a non-zero code: ${code}`;
      return { errorDetail: { code: Number(code), message } };
    }
    const base = /^FROM (\S+)/.exec(step)?.[1];
    const isKnown = base === undefined || base === 'scratch' || this.find(base) !== undefined;
    return isKnown ? undefined : { error: `pull access denied for ${base}` };
  }

  async #pause(step: string, limit: { end: number; options: BuildOptions }, signal: AbortSignal) {
    const seconds = /^RUN .*sleep (\d+)/.exec(step)?.[1];
    const leftMs = limit.end - this.#clock.monotonicMs();
    const wantedMs = Number(seconds ?? 0) * 1000;
    if (wantedMs > 0) await this.#clock.sleep(Math.min(wantedMs, leftMs), signal);
    if (signal.aborted) throw coreErrors.aborted(`the build of ${limit.options.tag} was cancelled`);
    if (wantedMs > leftMs)
      throw imageErrors.buildFailed(
        `the build of ${limit.options.tag} took longer than its limit of ${limit.options.timeoutMs / 1000} s`,
      );
  }
}

async function readTar(tar: Readable): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const reader = extract();
  tar.once('error', (error) => reader.destroy(error));
  tar.pipe(reader);
  for await (const entry of reader) files.set(entry.header.name, await text(entry));
  return files;
}

function fullName(reference: string): string {
  return /:[\w.-]+$/.test(reference) ? reference : `${reference}:latest`;
}

function digestOf(value: string): string {
  return `sha256:${createHash('sha256').update(value).digest('hex')}`;
}

function copyOf(image: Image): Image {
  return { ...image, tags: [...image.tags], labels: { ...image.labels } };
}
