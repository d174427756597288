// The pushes under way: which secret belongs to which push, and which app is being deployed. One deployment of an app at a
// time; a second push is told so at once instead of waiting for a ref that will have moved.

import { randomBytes } from 'node:crypto';

export interface Push {
  secret: string;
  appId: string;
  appName: string;
  token: string;
  repository: string;
  /** Fires when the pusher has gone. */
  signal: AbortSignal;
}

export class Pushes {
  readonly #pushes = new Map<string, Push>();
  readonly #deploying = new Map<string, { secret: string; since: number }>();

  open(push: Omit<Push, 'secret'>): Push {
    const opened = { ...push, secret: randomBytes(32).toString('hex') };
    this.#pushes.set(opened.secret, opened);
    return opened;
  }

  close(push: Push): void {
    this.#pushes.delete(push.secret);
    this.release(push);
  }

  bySecret(secret: string): Push | undefined {
    return this.#pushes.get(secret);
  }

  /** Undefined when the push now has its app to itself; otherwise since when another one has it. */
  claim(push: Push, nowMs: number): number | undefined {
    const held = this.#deploying.get(push.appId);
    if (held) return held.since;
    this.#deploying.set(push.appId, { secret: push.secret, since: nowMs });
    return undefined;
  }

  release(push: Push): void {
    if (this.#deploying.get(push.appId)?.secret === push.secret) this.#deploying.delete(push.appId);
  }

  get size(): number {
    return this.#pushes.size;
  }
}
