// The store on etcd: every promise of the interface is one of etcd's own, and what differs is translated in decide/.
// This process keeps connections, the life of the store that it has read, and the last batches of what it watches.

import { toAppError } from '#core/errors';
import type { ElectOptions, Leadership, ListOptions, WatchOptions } from '../client.ts';
import { type CheckedTxn, checkKey, checkPrefix, checkTtl, checkTxn } from '../decide/check-txn.ts';
import { campaign } from '../election.ts';
import { storeErrors } from '../errors.ts';
import { maxWatchers } from '../watch-hub.ts';
import type {
  Compare,
  Entry,
  Lease,
  Replacement,
  Revision,
  Snapshot,
  Txn,
  TxnResult,
  WatchBatch,
} from '../wire.ts';
import { calls } from './calls.ts';
import {
  defaultPrefix,
  encodeKey,
  entryOf,
  type KeySpace,
  keySpace,
  numberOf,
  rangeOf,
  revisionOf,
} from './decide/keys.ts';
import {
  comparesValues,
  readCompared,
  readState,
  type Seen,
  translateTxn,
} from './decide/translate-txn.ts';
import { WatchBatches } from './decide/watch-batches.ts';
import type { EtcdStore, EtcdStoreOptions, EtcdStoreStatus } from './engine.ts';
import { EtcdClient, type Pulse } from './etcd-client.ts';
import { checkLease, EtcdLeases } from './leases.ts';
import { type Life, readLife } from './life.ts';
import {
  encode,
  type Header,
  type RangeAnswer,
  type RangeRequest,
  type TxnAnswer,
  type TxnRequest,
  type WatchAnswer,
} from './messages.ts';
import { replaceAll } from './replace-all.ts';
import { type SizedBatch, WatchShares } from './watch-share.ts';

/** Entries read per request of a list. */
const pageEntries = 500;
/** Rounds of a transaction whose compared values change under it. */
const maxRounds = 20;

/** Opens the store of a cluster, or begins it. Fails like a call when no member answers. */
export async function openEtcdStore(options: EtcdStoreOptions): Promise<EtcdStore> {
  const client = new EtcdClient(options);
  const space = keySpace(options.prefix ?? defaultPrefix);
  try {
    const life = await readLife({ client, space, random: options.random, begins: true });
    return new ClusterStore({ ...options, client, space, begins: true }, life);
  } catch (error) {
    client.close();
    throw error;
  }
}

/**
 * The store of a cluster that holds one already, at once: calls fail for as long as no member answers. `incarnation` is
 * what `status` says until the store itself has said it.
 */
export function attachEtcdStore(options: EtcdStoreOptions & { incarnation: string }): EtcdStore {
  const client = new EtcdClient(options);
  const space = keySpace(options.prefix ?? defaultPrefix);
  return new ClusterStore({ ...options, client, space, begins: false });
}

type Deps = EtcdStoreOptions & {
  client: EtcdClient;
  /** Of the life that it is in, `Life` says the rest. */
  space: KeySpace;
  begins: boolean;
  incarnation?: string;
};

class ClusterStore implements EtcdStore {
  readonly client: EtcdClient;
  readonly #deps: Deps;
  readonly #leases: EtcdLeases;
  readonly #closing = new AbortController();
  /** Undefined while it must be read again. */
  #life: Promise<Life> | undefined;
  #incarnation: string;
  /** Ends the streams of the life that is known here. */
  #lifeOver = new AbortController();
  #revision = 0;
  #watchers = 0;
  readonly #shares = new WatchShares();

  constructor(deps: Deps, life?: Life) {
    this.#deps = deps;
    this.client = deps.client;
    this.#leases = new EtcdLeases(deps.client);
    if (life) this.#life = Promise.resolve(life);
    this.#incarnation = life?.incarnation ?? deps.incarnation ?? '';
    this.client.setPulse((ask) => this.#feelPulse(ask));
  }

  status(): EtcdStoreStatus {
    const { endpoints, streams } = this.client;
    const [incarnation, revision] = [this.#incarnation, this.#revision];
    return { incarnation, revision, watchers: this.#watchers, streams, endpoints };
  }

  async get<T>(key: string): Promise<Entry<T> | undefined> {
    checkKey(key);
    const life = await this.#readLife();
    const request = { key: encodeKey(life.space, key) };
    const { kvs } = await this.#range(request, life, `get ${key}`);
    const kv = kvs?.[0];
    return kv && entryOf<T>(life.space, kv);
  }

  async list<T>(prefix: string, options: ListOptions = {}): Promise<Snapshot<T>> {
    checkPrefix(prefix);
    const { at, limit } = options;
    if (limit !== undefined && !(Number.isInteger(limit) && limit > 0))
      throw storeErrors.invalid(`list ${prefix}: the limit ${limit} is not a whole number above 0`);
    const life = await this.#readLife();
    const { incarnation, space } = life;
    if (at && at.incarnation !== incarnation)
      throw storeErrors.conflict(`list ${prefix}: the revision is of another incarnation`, {
        detail: { incarnation, revision: this.#revision },
      });
    const entries: Entry<T>[] = [];
    let { after } = options;
    let revision = at?.revision;
    for (;;) {
      const count = Math.min(pageEntries, (limit ?? Number.POSITIVE_INFINITY) - entries.length);
      const page = {
        prefix,
        limit: count,
        ...(after === undefined ? {} : { after }),
        ...(revision === undefined ? {} : { revision }),
      };
      const answer = await this.#range(rangeOf(space, page), life, `list ${prefix}`);
      revision ??= revisionOf(space, answer.header.revision);
      for (const kv of answer.kvs ?? []) entries.push(entryOf<T>(space, kv));
      const snapshot = { entries, revision: { incarnation, revision } };
      if (!answer.more) return snapshot;
      after = entries.at(-1)?.key ?? prefix;
      if (entries.length === limit) return { ...snapshot, next: after };
    }
  }

  async txn(txn: Txn): Promise<TxnResult> {
    const checked = checkTxn(txn);
    for (const { key, lease } of checked.operations)
      if (lease !== undefined) checkLease(lease, `put ${key}`);
    for (let round = 0; round < maxRounds; round++) {
      const result = await this.#attempt(checked);
      if (result) return result;
    }
    throw storeErrors.overloaded(
      `commit: what the transaction compares changed ${maxRounds} times while it was tried`,
    );
  }

  async *watch<T>(prefix: string, options: WatchOptions): AsyncGenerator<WatchBatch<T>> {
    checkPrefix(prefix);
    const { from } = options;
    const signal = options.signal
      ? AbortSignal.any([options.signal, this.#closing.signal])
      : this.#closing.signal;
    if (signal.aborted) return;
    const life = await this.#readLife();
    if (from.incarnation !== life.incarnation || from.revision <= life.space.base)
      throw this.#forgotten(prefix, from.revision);
    if (this.#watchers >= maxWatchers)
      throw storeErrors.overloaded(`watch ${prefix}: ${maxWatchers} watchers are the limit`);
    this.#watchers++;
    try {
      const name = `${life.incarnation} ${prefix}`;
      const follow = (end: AbortSignal) =>
        this.#follow(prefix, from.revision, { life, signal: end });
      const shared = this.#shares.read(name, { from: from.revision, follow, signal });
      const position = yield* shared as AsyncGenerator<WatchBatch<T>, number>;
      for await (const { batch } of this.#follow(prefix, position, { life, signal }))
        yield batch as WatchBatch<T>;
    } finally {
      this.#watchers--;
    }
  }

  /** A stream of etcd's own, of commits after a revision. */
  async *#follow(
    prefix: string,
    from: number,
    { life, signal }: { life: Life; signal: AbortSignal },
  ): AsyncGenerator<SizedBatch> {
    const { incarnation, clusterId, space } = life;
    if (incarnation !== this.#incarnation) throw this.#forgotten(prefix, from);
    const over = this.#lifeOver.signal;
    const batches = new WatchBatches(space, from);
    const { key, range_end } = rangeOf(space, { prefix });
    const create_request = {
      key,
      range_end,
      // The last commit that the reader knows comes again, so that one whose history is gone is refused.
      start_revision: numberOf(space, from),
      prev_kv: true,
      progress_notify: true,
      fragment: true,
    };
    const options = { what: `watch ${prefix}`, signal: AbortSignal.any([signal, over]) };
    const stream = this.client.stream<WatchAnswer>(calls.watch, { create_request }, options);
    for await (const answer of stream) {
      this.#observe(answer.header, life);
      if (answer.header.cluster_id !== clusterId || answer.compact_revision !== undefined)
        throw this.#forgotten(prefix, from);
      if (answer.canceled)
        throw storeErrors.unavailable(`watch ${prefix}: etcd ended it: ${answer.cancel_reason}`);
      const complete = batches.take(answer);
      if (complete === 'incomplete') throw this.#forgotten(prefix, from);
      for (const { revision, events, bytes } of complete)
        yield { batch: { revision: { incarnation, revision }, events }, bytes };
    }
    if (over.aborted && !signal.aborted) throw this.#forgotten(prefix, from);
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    checkTtl(ttlMs);
    return this.#leases.grant(ttlMs);
  }

  keepAlive(id: string): Promise<void> {
    return this.#leases.keep(id);
  }

  revokeLease(id: string): Promise<void> {
    return this.#leases.revoke(id);
  }

  elect(name: string, options: ElectOptions): Promise<Leadership> {
    return campaign({ store: this, ...this.#deps }, name, options);
  }

  async replaceAll(
    entries: readonly Replacement[],
    compare: readonly Compare[],
  ): Promise<Revision> {
    this.#life = undefined;
    const life = await this.#readLife();
    const read = (txn: CheckedTxn) => this.#readCompared(txn, life);
    const request = { life, random: this.#deps.random, entries, compare, read };
    const { incarnation } = await replaceAll(this.client, request).finally(() => {
      this.#life = undefined;
    });
    const { revision } = await this.list('', { limit: 1 });
    if (revision.incarnation === incarnation) return revision;
    throw storeErrors.conflict('replace all: it was done, and replaced by another one since');
  }

  async compact(revision?: number): Promise<void> {
    const life = await this.#readLife();
    const { header } = await this.#range({ key: encode(life.guard.key) }, life, 'compact');
    const target =
      revision === undefined ? String(header.revision) : numberOf(life.space, revision);
    const options = { what: `compact to ${target}`, isRepeatable: true };
    try {
      // Physical: answered when the room is free, not when it is to be.
      const body = { revision: target, physical: true };
      await this.client.call(calls.compact, body, options);
    } catch (error) {
      // Somebody was faster.
      if (toAppError(error).code !== 'store.compacted') throw error;
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.client.close();
  }

  #readLife(): Promise<Life> {
    this.#life ??= readLife(this.#deps).then(
      (life) => {
        this.#enter(life);
        return life;
      },
      (error: unknown) => {
        this.#life = undefined;
        throw error;
      },
    );
    return this.#life;
  }

  #enter({ incarnation }: Life): void {
    if (incarnation === this.#incarnation) return;
    const [was, is] = [this.#incarnation, incarnation];
    if (was !== '') this.#deps.log.warn({ was, is }, 'the store is in another life');
    this.#incarnation = incarnation;
    this.#lifeOver.abort();
    this.#lifeOver = new AbortController();
  }

  async #range(request: RangeRequest, life: Life, what: string): Promise<RangeAnswer> {
    const options = { what, isRepeatable: true };
    const answer = await this.client.call<RangeAnswer>(calls.range, request, options);
    if (answer.header.cluster_id !== life.clusterId) throw this.#moved(what);
    this.#observe(answer.header, life);
    return answer;
  }

  /** One try of a transaction; undefined when it has to be tried again. */
  async #attempt(txn: CheckedTxn): Promise<TxnResult | undefined> {
    const life = await this.#readLife();
    const { incarnation, guard, space } = life;
    if (txn.incarnation !== undefined && txn.incarnation !== incarnation)
      throw this.#moved('the transaction compares revisions that');
    let seen: Seen = new Map();
    if (comparesValues(txn)) {
      const before = await this.#readCompared(txn, life);
      if (!before || before.result.failed.length > 0) return before?.result;
      seen = before.seen;
    }
    const isRepeatable = txn.operations.length === 0;
    const request = translateTxn(space, txn, { guard, seen });
    const { succeeded, header } = await this.#commit(request, life, isRepeatable);
    if (succeeded)
      return {
        ok: true,
        revision: { incarnation, revision: revisionOf(space, header.revision) },
        failed: [],
      };
    const { result } = (await this.#readCompared(txn, life)) ?? {};
    return result && result.failed.length > 0 ? result : undefined;
  }

  /** The state of one revision and what of the compares fails in it; undefined when the store is in another life. */
  async #readCompared(txn: CheckedTxn, life: Life) {
    const { incarnation, guard, space } = life;
    const answer = await this.#commit(readCompared(space, txn, guard), life, true);
    const { isGuarded, seen, failed } = readState(space, txn, { guard, answer });
    if (!isGuarded) {
      this.#life = undefined;
      return undefined;
    }
    const revision = { incarnation, revision: revisionOf(space, answer.header.revision) };
    return { seen, result: { ok: false, revision, failed } };
  }

  async #commit(request: TxnRequest, life: Life, isRepeatable: boolean) {
    const options = { what: 'commit', isRepeatable };
    const answer = await this.client.call<TxnAnswer>(calls.txn, request, options);
    if (answer.header.cluster_id !== life.clusterId) throw this.#moved('commit');
    this.#observe(answer.header, life);
    return answer;
  }

  async #feelPulse(ask: Parameters<Pulse>[0]): Promise<void> {
    const { guard } = await this.#readLife();
    const { kvs } = await ask<RangeAnswer>(calls.range, { key: encode(guard.key) });
    if (kvs?.[0]?.mod_revision === guard.modRevision) return;
    this.#life = undefined;
    throw storeErrors.compacted('watch: the store is in another life, list again');
  }

  #observe({ revision }: Header, { space }: Life): void {
    this.#revision = Math.max(this.#revision, revisionOf(space, revision));
  }

  #moved(what: string): Error {
    this.#life = undefined;
    return storeErrors.conflict(`${what}: of another incarnation of the store, read again`);
  }

  #forgotten(prefix: string, revision: number): Error {
    const detail = { incarnation: this.#incarnation, revision: this.#revision };
    return storeErrors.compacted(
      `watch ${prefix} from revision ${revision}: the history does not hold it, list again`,
      { detail },
    );
  }
}
