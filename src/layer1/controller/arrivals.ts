// Is the image of a deployment on a second machine? Asked for once a deployment, while others go on; known in memory only: a new
// leader asks again, which costs little when it is there.

import { hasCode, toAppError } from '#core/errors';
import type { Log } from '#core/log';
import type { HostPort } from './context.ts';
import type { Deployment } from './wire.ts';

/** Deployments that are remembered: far more than can wait at once. */
const maxKnown = 10_000;

export class ImageArrivals {
  readonly #host: Pick<HostPort, 'spreadImage'>;
  readonly #log: Log;
  readonly #onArrival: (app: string) => void;
  readonly #known = new Map<string, 'on its way' | 'there'>();

  constructor(
    { host, log }: { host: Pick<HostPort, 'spreadImage'>; log: Log },
    onArrival: (app: string) => void,
  ) {
    this.#host = host;
    this.#log = log;
    this.#onArrival = onArrival;
  }

  /** True from when a second machine holds it, or none but one answers. One that could not be asked for is asked for anew. */
  isThere({ id: deployment, app }: Pick<Deployment, 'id' | 'app'>, imageId: string): boolean {
    const known = this.#known.get(deployment);
    if (known === undefined) {
      if (this.#known.size >= maxKnown) this.#known.clear();
      this.#known.set(deployment, 'on its way');
      void this.#bring(app, deployment, imageId);
    }
    return known === 'there';
  }

  async #bring(app: string, deployment: string, imageId: string): Promise<void> {
    try {
      const hosts = await this.#host.spreadImage(imageId);
      this.#known.set(deployment, 'there');
      this.#onArrival(app);
      this.#log.info({ deployment, image: imageId, hosts }, 'other machines hold the image');
    } catch (error) {
      // A daemon of the version before does not know the call, and keeps nobody from deploying.
      if (hasCode(error, 'core.notFound')) {
        this.#known.set(deployment, 'there');
        return this.#onArrival(app);
      }
      this.#known.delete(deployment);
      const reason = toAppError(error).message;
      this.#log.warn({ deployment, image: imageId, reason }, 'an image was not spread');
    }
  }
}
