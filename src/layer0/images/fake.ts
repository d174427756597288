// An image as the engine shows it, for tests.

import type { Image } from './wire.ts';

export function anImage(change: Partial<Image> = {}): Image {
  return {
    id: 'sha256:a',
    tags: [],
    sizeBytes: 1,
    createdAt: 0,
    command: [],
    entrypoint: [],
    exposedPorts: [],
    user: '',
    workingDir: '',
    labels: {},
    ...change,
  };
}
