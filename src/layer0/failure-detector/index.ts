// Which of the machines that this one listens for do not answer it? Asked of their kernels; said to whoever registers this
// machine, who says it to the schedulers.

import type { Clock, Timer } from '#core/clock';
import type { Component } from '#core/component';
import type { Log } from '#core/log';
import { answerMs, askEveryMs, deafAfter } from './config.ts';
import { Hearing } from './decide/hearing.ts';
import { type Ask, createAsk, type Peer } from './probe.ts';
import { watchedBy } from './wire.ts';

export { failureDetectorSettings } from './config.ts';
export { type Ask, createAsk, type Peer } from './probe.ts';

export interface FailureDetectorDeps {
  /** All other members. */
  peers(): readonly Peer[];
  /** Calls back when a member came, went or moved; returns what ends that. */
  watchPeers(callback: () => void): () => void;
  clock: Clock;
  log: Log;
  /** Instead of real connections. */
  ask?: Ask;
}

export interface FailureDetectorConfig {
  hostId: string;
  hostSilentMs: number;
}

export interface FailureDetector extends Component {
  /** Host ids of those that are silent, in order. */
  silent(): readonly string[];
  onChange(callback: () => void): void;
}

export function createFailureDetector(
  deps: FailureDetectorDeps,
  config: FailureDetectorConfig,
): FailureDetector {
  return new Listener(deps, config);
}

class Listener implements FailureDetector {
  readonly #deps: FailureDetectorDeps;
  readonly #hostId: string;
  readonly #ask: Ask;
  readonly #hearing: Hearing;
  readonly #asked = new Map<string, { peer: Peer; timer: Timer | undefined }>();
  readonly #callbacks = new Set<() => void>();
  #silent: readonly string[] = [];
  #unwatch: (() => void) | undefined;

  constructor(deps: FailureDetectorDeps, { hostId, hostSilentMs }: FailureDetectorConfig) {
    this.#deps = deps;
    this.#hostId = hostId;
    this.#ask = deps.ask ?? createAsk(deps.clock);
    const silentAfter = Math.ceil(hostSilentMs / answerMs);
    this.#hearing = new Hearing({ silentAfter, deafAfter });
  }

  async start(): Promise<void> {
    this.#unwatch = this.#deps.watchPeers(() => this.#follow());
    this.#follow();
  }

  async stop(): Promise<void> {
    this.#unwatch?.();
    for (const { timer } of this.#asked.values()) timer?.cancel();
    this.#asked.clear();
  }

  status(): Record<string, unknown> {
    return { failureDetector: { listensFor: [...this.#asked.keys()], silent: this.#silent } };
  }

  silent(): readonly string[] {
    return this.#silent;
  }

  onChange(callback: () => void): void {
    this.#callbacks.add(callback);
  }

  #follow(): void {
    const peers = new Map(this.#deps.peers().map((peer) => [peer.hostId, peer]));
    const watched = watchedBy(this.#hostId, [this.#hostId, ...peers.keys()].sort());
    this.#hearing.keep(watched);
    for (const [id, { timer }] of this.#asked) {
      if (watched.includes(id)) continue;
      timer?.cancel();
      this.#asked.delete(id);
    }
    for (const id of watched) {
      const peer = peers.get(id);
      const known = this.#asked.get(id);
      if (known && peer) known.peer = peer;
      else if (peer) this.#begin(peer);
    }
    this.#judge();
  }

  #begin(peer: Peer): void {
    const asked = { peer, timer: undefined };
    this.#asked.set(peer.hostId, asked);
    void this.#turn(asked);
  }

  async #turn(asked: { peer: Peer; timer: Timer | undefined }): Promise<void> {
    const { clock } = this.#deps;
    const { hostId } = asked.peer;
    const startedMs = clock.monotonicMs();
    const isAnswered = await this.#ask(asked.peer, answerMs);
    if (this.#asked.get(hostId) !== asked) return;
    this.#hearing.note(hostId, isAnswered);
    this.#judge();
    // A refusal without an answer comes at once: that is no reason to ask more often.
    const everyMs = isAnswered ? askEveryMs : answerMs;
    const restMs = Math.max(0, everyMs - (clock.monotonicMs() - startedMs));
    asked.timer = clock.timer(restMs, () => void this.#turn(asked));
  }

  #judge(): void {
    const silent = this.#hearing.silent();
    if (silent.join() === this.#silent.join()) return;
    const { log } = this.#deps;
    for (const host of silent)
      if (!this.#silent.includes(host)) log.warn({ host }, 'its machine does not answer');
    for (const host of this.#silent)
      if (this.#hearing.isAnswering(host)) log.info({ host }, 'its machine answers again');
    this.#silent = silent;
    for (const callback of this.#callbacks) callback();
  }
}
