// One copy of the store at a time is replaced, of all machines, and only while the others are enough without it. The store
// itself says whose turn it is: the others serve it meanwhile.

import type { Clock } from '#core/clock';
import { hasCode } from '#core/errors';
import type { Log } from '#core/log';
import { within } from '#core/within';
import type { Peers } from '#layer0/membership/index';
import type { Leadership } from '#layer0/store/client';
import { askServing, type EtcdStore, listMembers, readStatus } from '#layer0/store/index';
import { electionTtlMs, memberAnswerMs } from './config.ts';
import { missingWithout } from './decide/can-spare.ts';
import type { StorePlace } from './place.ts';

/** Whose turn it is, is known by then, or it is another's. */
const turnAnswerMs = 3_000;

export interface RenewalTurnDeps {
  place: StorePlace;
  peers: Pick<Peers, 'get'>;
  clock: Clock;
  log: Log;
}

export interface TurnAnswer {
  /** Why it is not this machine's turn; absent when it is. */
  wait?: string;
  /** Others are away: nobody knows for how long. */
  isHeldUp?: true;
}

export class RenewalTurn {
  readonly #deps: RenewalTurnDeps;
  readonly #hostId: string;
  #leadership: Leadership | undefined;

  constructor(deps: RenewalTurnDeps, { hostId }: { hostId: string }) {
    this.#deps = deps;
    this.#hostId = hostId;
  }

  async take(token: string, signal: AbortSignal): Promise<TurnAnswer> {
    const { behind } = this.#deps.place;
    if (behind.engine !== 'etcd' || behind.place.token !== token)
      return { wait: 'this etcd is not in charge of the store' };
    const early = await this.#away(behind.store);
    if (early.length > 0) return this.#heldUp(early);
    if (!(await this.#isMine(behind.store, signal)))
      return { wait: 'another machine has its turn' };
    // Who had the turn until now may not be back.
    const away = await this.#away(behind.store);
    if (away.length === 0) return {};
    await this.release();
    return this.#heldUp(away);
  }

  #heldUp(away: readonly string[]): TurnAnswer {
    const names = away.map((hostId) => this.#deps.peers.get(hostId)?.name ?? hostId);
    return { wait: `the copies of ${names.join(', ')} must answer first`, isHeldUp: true };
  }

  async release(): Promise<void> {
    const mine = this.#leadership;
    this.#leadership = undefined;
    if (mine && !mine.lost.aborted) await mine.resign();
  }

  /** Has the member at `url` a leader, and all that was agreed on until now? */
  async isServing(url: string): Promise<boolean> {
    const { behind } = this.#deps.place;
    if (behind.engine !== 'etcd') return false;
    try {
      await askServing(behind.store.client, url, memberAnswerMs);
      return true;
    } catch (error) {
      this.#deps.log.debug({ err: error }, 'the etcd here does not serve yet');
      return false;
    }
  }

  async #isMine(store: EtcdStore, signal: AbortSignal): Promise<boolean> {
    if (this.#leadership && !this.#leadership.lost.aborted) return true;
    const asked = new AbortController();
    const campaign = {
      identity: this.#hostId,
      ttlMs: electionTtlMs,
      signal: AbortSignal.any([signal, asked.signal]),
    };
    const elected = store.elect('ha/renewal', campaign);
    try {
      this.#leadership = await within(this.#deps.clock, turnAnswerMs, () => elected);
      return true;
    } catch (error) {
      if (!hasCode(error, 'core.timeout')) throw error;
      asked.abort();
      // It may have been won in this very moment.
      await elected.then(
        (won) => won.resign(),
        () => undefined,
      );
      return false;
    }
  }

  async #away(store: EtcdStore): Promise<string[]> {
    const members = await listMembers(store.client);
    const seen = await Promise.all(
      members.map(async ({ name: hostId, clientUrl, isLearner }) => {
        const isReachable =
          clientUrl !== undefined &&
          (await readStatus(store.client, clientUrl, memberAnswerMs).then(
            () => true,
            () => false,
          ));
        return { hostId, isLearner, isReachable };
      }),
    );
    return missingWithout(seen, this.#hostId);
  }
}
