// Campaigns for the lead of the deployments, does the leader's work while elected, and campaigns again when it is lost.

import { hasCode, toAppError } from '#core/errors';
import type { Leadership } from '#layer0/store/client';
import { electionName, type LeaderDeps, LeaderLoop } from './loop.ts';

/** Waits after a campaign that failed for a reason that retrying does not mend at once. */
const campaignPauseMs = 1_000;

export interface CandidateOptions {
  /** Shown as the leader's name. */
  identity: string;
  electionTtlMs: number;
}

export class Candidate {
  readonly #deps: LeaderDeps;
  readonly #options: CandidateOptions;
  readonly #stop = new AbortController();
  #loop: LeaderLoop | undefined;
  #leading: Promise<void> | undefined;

  constructor(deps: LeaderDeps, options: CandidateOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Undefined while somebody else leads. */
  get loop(): LeaderLoop | undefined {
    return this.#loop;
  }

  start(): void {
    this.#leading = this.#campaign();
  }

  /** Hands the leadership over, so that the next leader begins at once. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#leading;
  }

  async #campaign(): Promise<void> {
    const { store, clock, log } = this.#deps;
    const { identity, electionTtlMs: ttlMs } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const leadership = await store.elect(electionName, { identity, ttlMs, signal });
        log.info({ identity }, 'leads the deployments');
        await this.#leadUntilLost(leadership);
      } catch (error) {
        if (signal.aborted || hasCode(error, 'core.aborted')) continue;
        log.warn({ err: toAppError(error) }, 'campaign failed');
        await clock.sleep(campaignPauseMs, signal).catch(() => undefined);
      }
    }
  }

  async #leadUntilLost(leadership: Leadership): Promise<void> {
    this.#loop = new LeaderLoop(this.#deps, leadership);
    this.#loop.start();
    try {
      await fired(AbortSignal.any([this.#stop.signal, leadership.lost]));
    } finally {
      await this.#loop.stop();
      this.#loop = undefined;
      if (!leadership.lost.aborted) await leadership.resign();
    }
  }
}

function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
