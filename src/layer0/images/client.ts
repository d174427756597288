// The door of images for other components: names, errors and what an engine must offer. Images themselves are asked for
// through the host's client, which is the only holder of the engine.

import type { Readable } from 'node:stream';
import type { BuildOptions, CommitOptions, Image } from './wire.ts';

export { imageErrors } from './errors.ts';
export type { RegistryEngine } from './publish.ts';
export { parseReference } from './reference.ts';

export type BuildOutput = { line: string } | { image: Image };

/** The image half of a container engine. */
export interface ImageEngine {
  /** By id or tag; undefined when it is not on this machine. */
  image(reference: string): Promise<Image | undefined>;
  images(): Promise<Image[]>;
  load(tar: Readable): Promise<Image[]>;
  /** As a `docker save` stream; images.notFound when it is not on this machine. */
  save(reference: string): Promise<Readable>;
  build(tar: Readable, options: BuildOptions, signal: AbortSignal): AsyncGenerator<BuildOutput>;
  commit(containerId: string, options: CommitOptions): Promise<Image>;
  tag(id: string, reference: string): Promise<void>;
  /** False when something uses it. */
  removeImage(id: string): Promise<boolean>;
}
