// Who leads `name`? The holder of the key `elections/<name>`, under a lease it keeps alive; works through any Store.
// A leader believes in itself no longer than the store does: its own clock counts from before the last keep-alive was sent.

import type { Clock, Timer } from '#core/clock';
import { coreErrors, hasCode, toAppError } from '#core/errors';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { type Backoff, backoffMs, isWorthTelling } from '#core/retry';
import type { ElectOptions, Leadership, Store } from './client.ts';
import type { Compare, Lease } from './wire.ts';

export const electionPrefix = 'elections/';
/** Keep-alives sent in the life of a lease: two may fail in a row. */
const keepAlivesPerTtl = 3;
/** Waits between attempts to campaign while the store is away. */
const campaignBackoff: Backoff = { minMs: 50, maxMs: 2_000 };

/** What the claim's key holds. */
export interface Claim {
  identity: string;
  since: number;
}

export interface CampaignDeps {
  store: Store;
  clock: Clock;
  random: Random;
  log: Log;
}

/** Resolves when elected; rejects with core.aborted when the signal fires first, or with an error that retrying cannot mend. */
export async function campaign(
  deps: CampaignDeps,
  name: string,
  options: ElectOptions,
): Promise<Leadership> {
  const key = `${electionPrefix}${name}`;
  let isReclaimed = options.reclaims !== true;
  for (let failures = 0; ; ) {
    throwIfAborted(options.signal, name);
    try {
      if (!isReclaimed) await withdraw(deps.store, key, options.identity);
      isReclaimed = true;
      await waitUntilVacant(deps.store, key, options.signal);
      const leadership = await claim(deps, key, options);
      if (leadership) return leadership;
      failures = 0;
    } catch (error) {
      throwIfAborted(options.signal, name);
      const isTransient = toAppError(error).retry || hasCode(error, 'store.compacted');
      if (!isTransient && !hasCode(error, 'store.leaseNotFound')) throw error;
      failures++;
      if (isWorthTelling(failures))
        deps.log.warn({ err: error, election: name, failures }, 'campaign interrupted');
      await deps.clock.sleep(backoffMs(failures, campaignBackoff, deps.random), options.signal);
    }
  }
}

/** Deletes the claim that an earlier life left. Its fence fails from then on: the next claim is another key's creation. */
async function withdraw(store: Store, key: string, identity: string): Promise<void> {
  const left = await store.get<Claim>(key);
  if (left?.value.identity !== identity) return;
  const compare: Compare[] = [{ key, createRevision: left.createRevision }];
  await store.txn({ compare, operations: [{ delete: key }] });
}

async function waitUntilVacant(store: Store, key: string, signal: AbortSignal): Promise<void> {
  const { entries, revision } = await store.list(key);
  if (!entries.some((entry) => entry.key === key)) return;
  for await (const { events } of store.watch(key, { from: revision, signal })) {
    if (events.some((event) => event.type === 'delete' && event.key === key)) return;
  }
}

async function claim(
  deps: CampaignDeps,
  key: string,
  options: ElectOptions,
): Promise<Leadership | undefined> {
  const { store, clock } = deps;
  throwIfAborted(options.signal, key);
  const sentAt = clock.monotonicMs();
  const lease = await store.grantLease(options.ttlMs);
  const value: Claim = { identity: options.identity, since: clock.now() };
  try {
    const result = await store.txn({
      compare: [{ key, is: 'absent' }],
      operations: [{ put: key, value, lease: lease.id }],
    });
    if (result.ok && !options.signal.aborted) {
      const fence = { key, createRevision: result.revision.revision };
      const { incarnation } = result.revision;
      return new HeldLeadership(deps, { fence, lease, sentAt, incarnation });
    }
  } catch (error) {
    // The claim may have been committed although its answer was lost: without this it would block everyone for a ttl.
    await giveBack(deps, lease);
    throw error;
  }
  await giveBack(deps, lease);
  return undefined;
}

async function giveBack({ store, log }: CampaignDeps, lease: Lease): Promise<void> {
  try {
    await store.revokeLease(lease.id);
  } catch (error) {
    if (!hasCode(error, 'store.leaseNotFound'))
      log.warn({ err: error, lease: lease.id }, 'a lease stays until its time is over');
  }
}

function throwIfAborted(signal: AbortSignal, name: string): void {
  if (signal.aborted) throw coreErrors.aborted(`the campaign for ${name} was given up`);
}

interface Holding {
  fence: Compare & { createRevision: number };
  lease: Lease;
  /** When the last keep-alive that succeeded was sent, monotonic. */
  sentAt: number;
  incarnation: string;
}

class HeldLeadership implements Leadership {
  readonly fence: Compare;
  readonly incarnation: string;
  readonly #deps: CampaignDeps;
  readonly #held: Holding;
  readonly #lost = new AbortController();
  #beat: Timer | undefined;
  #deadline: Timer | undefined;

  constructor(deps: CampaignDeps, held: Holding) {
    this.#deps = deps;
    this.#held = held;
    this.fence = held.fence;
    this.incarnation = held.incarnation;
    this.#schedule();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async resign(): Promise<void> {
    this.#lose('resigned');
    await giveBack(this.#deps, this.#held.lease);
  }

  #schedule(): void {
    if (this.#lost.signal.aborted) return;
    const { clock } = this.#deps;
    const { lease, sentAt } = this.#held;
    this.#beat?.cancel();
    this.#deadline?.cancel();
    this.#beat = clock.timer(lease.ttlMs / keepAlivesPerTtl, () => void this.#keepAlive());
    const leftMs = sentAt + lease.ttlMs - clock.monotonicMs();
    this.#deadline = clock.timer(leftMs, () => this.#lose('no keep-alive within the ttl'));
  }

  async #keepAlive(): Promise<void> {
    const { store, clock } = this.#deps;
    const sentAt = clock.monotonicMs();
    try {
      await store.keepAlive(this.#held.lease.id);
      const entry = await store.get(this.fence.key);
      if (entry?.createRevision !== this.#held.fence.createRevision)
        return this.#lose('the claim was deleted');
      this.#held.sentAt = sentAt;
    } catch (error) {
      if (!toAppError(error).retry) return this.#lose(toAppError(error).message);
    }
    this.#schedule();
  }

  #lose(reason: string): void {
    if (this.#lost.signal.aborted) return;
    this.#beat?.cancel();
    this.#deadline?.cancel();
    this.#deps.log.info({ election: this.fence.key, reason }, 'leadership ended');
    this.#lost.abort(coreErrors.aborted(`leadership of ${this.fence.key} ended: ${reason}`));
  }
}
