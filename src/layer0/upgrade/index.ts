// The door for the daemon: brings this machine's daemon to the version that is wanted, when it is its turn.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import { hasCode } from '#core/errors';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop } from '#core/reconcile';
import { parser } from '#core/schema';
import { type Host, hostAlivePrefix, hostPrefix } from '#layer0/host/wire';
import { createMirror, listAll, type Mirror, type Store } from '#layer0/store/client';
import type { Compare, Operation } from '#layer0/store/wire';
import { lookEveryMs, resyncMs, turnLimitMs } from './config.ts';
import { type CopyState, nextStep, type Seen, type Step } from './decide/next-step.ts';
import { upgradeErrors } from './errors.ts';
import {
  type Outcome,
  outcomeFile,
  outcomeSchema,
  type Turn,
  turnKey,
  upgradePrefix,
  type Wanted,
  wantedKey,
} from './wire.ts';

export interface UpgradeDeps {
  store: Store;
  /** Brings the image here under this name; false when nobody has it. */
  ensureImage(image: string, tag: string): Promise<boolean>;
  /** Starts what replaces the daemon and outlives it; does nothing while that runs. */
  startReplacement(wanted: Wanted): Promise<void>;
  /** How far the copy of the store on this machine is. */
  copy(): CopyState;
  clock: Clock;
  random: Random;
  log: Log;
}

export interface UpgradeConfig {
  home: string;
  hostId: string;
  version: string;
  /** `hand`: nobody but script/up replaces this daemon. */
  upgradedBy: string;
}

export { upgradeSettings } from './config.ts';

export function createUpgrade(deps: UpgradeDeps, config: UpgradeConfig): Component {
  return new TurnTaker(deps, config);
}

const outcomes = parser(outcomeSchema);

class TurnTaker implements Component {
  readonly #deps: UpgradeDeps;
  readonly #config: UpgradeConfig;
  readonly #loop: Loop;
  readonly #ending = new AbortController();
  #mirror: Mirror<unknown> | undefined;
  #turnSeen = { modRevision: -1, atMs: 0 };
  #last: Step = { kind: 'nothing' };

  constructor(deps: UpgradeDeps, config: UpgradeConfig) {
    this.#deps = deps;
    this.#config = config;
    const { clock, random, log } = deps;
    const run = () => this.#pass();
    this.#loop = createLoop({ name: 'upgrade', run, resyncMs, clock, random, log });
  }

  async start(): Promise<void> {
    // The wish may be older than the checkout that this daemon was just made from.
    if (this.#config.upgradedBy === 'hand') return;
    const { store, clock, random, log } = this.#deps;
    const signal = this.#ending.signal;
    const onChange = () => this.#loop.trigger();
    this.#mirror = createMirror(store, upgradePrefix, { clock, random, log, signal, onChange });
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#loop.stop();
  }

  status(): Record<string, unknown> {
    return { upgrade: { step: this.#last, loop: this.#loop.status() } };
  }

  async #pass(): Promise<void | { againMs: number }> {
    const mirror = this.#mirror;
    if (!mirror) return;
    await mirror.synced;
    const wanted = mirror.get(wantedKey)?.value as Wanted | undefined;
    const turn = mirror.get(turnKey);
    const isAtIt = wanted?.version === this.#config.version;
    if (isAtIt && (turn?.value as Turn | undefined)?.host !== this.#config.hostId) return;
    const seen = await this.#see(wanted, turn as { value: Turn; modRevision: number } | undefined);
    const step = nextStep(seen, turnLimitMs);
    this.#last = step;
    if (!wanted || step.kind === 'nothing') return;
    await this.#act(step, wanted, turn?.modRevision);
    return { againMs: lookEveryMs };
  }

  async #see(
    wanted: Wanted | undefined,
    turn: { value: Turn; modRevision: number } | undefined,
  ): Promise<Seen> {
    const { store, clock } = this.#deps;
    const { hostId, version, home } = this.#config;
    const atMs = clock.monotonicMs();
    if (turn && turn.modRevision !== this.#turnSeen.modRevision)
      this.#turnSeen = { modRevision: turn.modRevision, atMs };
    const [hosts, alive] = await Promise.all([
      listAll<Host>(store, hostPrefix),
      listAll(store, hostAlivePrefix),
    ]);
    const isAlive = new Set(alive.map(({ key }) => key.slice(hostAlivePrefix.length)));
    return {
      self: { hostId, version },
      wanted,
      turn: turn?.value,
      turnAgeMs: atMs - this.#turnSeen.atMs,
      alive: new Map(
        hosts
          .filter(({ value }) => isAlive.has(value.id))
          .map(({ value }) => [value.id, value.version]),
      ),
      outcome: await readOutcome(join(home, outcomeFile)),
      copy: this.#deps.copy(),
    };
  }

  async #act(step: Step, wanted: Wanted, turnRevision: number | undefined): Promise<void> {
    const { hostId } = this.#config;
    const mine: Turn = { upgrade: wanted.id, host: hostId };
    switch (step.kind) {
      case 'nothing':
      case 'wait':
        return;
      case 'take-turn':
        return this.#write(turnRevision, { put: turnKey, value: mine });
      case 'give-back':
        return this.#write(turnRevision, { delete: turnKey });
      case 'tell-failure': {
        const { log } = this.#deps;
        log.warn({ version: wanted.version, reason: step.failure }, 'the upgrade was put back');
        const value: Turn = { ...mine, failure: step.failure };
        return this.#write(turnRevision, { put: turnKey, value });
      }
      case 'replace': {
        const { ensureImage, startReplacement } = this.#deps;
        if (!(await ensureImage(wanted.image, wanted.tag)))
          throw upgradeErrors.noImage(
            `cannot go on to version ${wanted.version}: no machine that answers has its image ${wanted.image}`,
          );
        return startReplacement(wanted);
      }
    }
  }

  /** Somebody who was faster is seen at the next look. */
  async #write(turnRevision: number | undefined, operation: Operation): Promise<void> {
    const compare: Compare =
      turnRevision === undefined
        ? { key: turnKey, is: 'absent' }
        : { key: turnKey, modRevision: turnRevision };
    const { revision } = await this.#deps.store.txn({
      compare: [compare],
      operations: [operation],
    });
    await this.#mirror?.caughtUp(revision);
  }
}

async function readOutcome(path: string): Promise<Outcome | undefined> {
  try {
    return outcomes.parse(JSON.parse(await readFile(path, 'utf8')), path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
