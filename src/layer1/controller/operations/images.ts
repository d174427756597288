// Images that come as a stream: layer 0 takes them in, a deploy names them.

import type { Readable } from 'node:stream';
import type { Context } from '../context.ts';

export async function importImages(
  { host }: Context,
  tar: Readable,
  gone: AbortSignal,
): Promise<{ id: string; tags: string[] }[]> {
  const onGone = () => tar.destroy();
  gone.addEventListener('abort', onGone, { once: true });
  try {
    const images = await host.importImages(tar);
    return images.map(({ id, tags }) => ({ id, tags }));
  } finally {
    gone.removeEventListener('abort', onGone);
  }
}
