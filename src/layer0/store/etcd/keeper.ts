// Keeps an etcd cluster in order: one process of all that use it, by election, looks every minute and does what is due.
// Out of space nobody can be elected, so then everyone does it: from what they see they all decide the same.

import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop } from '#core/reconcile';
import type { Leadership } from '../client.ts';
import {
  type ClusterSeen,
  type KeepingStep,
  keepMs,
  type Mark,
  planKeeping,
} from './decide/plan-keeping.ts';
import type { EtcdStore } from './engine.ts';
import {
  type Alarm,
  defragment,
  disarm,
  listAlarms,
  type MemberStatus,
  readStatus,
} from './maintenance.ts';
import { listMembers } from './members.ts';
import { quotaBytes } from './server-options.ts';

const lookMs = 60_000;
/** After a step, and while there is no room: what has changed is looked at soon. */
const againMs = 2_000;
const electionTtlMs = 30_000;

export interface KeeperOptions {
  /** Who keeps: shown to people. */
  identity: string;
  /** What the members were started with. */
  quotaBytes?: number;
  clock: Clock;
  random: Random;
  log: Log;
}

export function createEtcdKeeper(store: EtcdStore, options: KeeperOptions): Component {
  return new Keeper(store, options);
}

class Keeper implements Component {
  readonly #store: EtcdStore;
  readonly #options: KeeperOptions;
  readonly #loop: Loop;
  readonly #stopping = new AbortController();
  #campaign: Promise<void> | undefined;
  #leadership: Leadership | undefined;
  #marks: Mark[] = [];
  #compactedTo = 0;
  readonly #defragmentedAtMs = new Map<string, number>();
  #seen: ClusterSeen | undefined;

  constructor(store: EtcdStore, options: KeeperOptions) {
    this.#store = store;
    this.#options = options;
    const { clock, random, log } = options;
    this.#loop = createLoop({
      name: 'store/etcd-keeper',
      resyncMs: lookMs,
      clock,
      random,
      log,
      run: (signal) => this.#pass(signal),
    });
  }

  async start(): Promise<void> {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([this.#loop.stop(), this.#campaign]);
    if (this.#isLeader()) await this.#leadership?.resign();
  }

  status(): Record<string, unknown> {
    const { statuses = [], memberCount = 0, alarms = [] } = this.#seen ?? {};
    const isLeader = this.#isLeader();
    return { etcd: { isLeader, memberCount, statuses, alarms, loop: this.#loop.status() } };
  }

  #isLeader(): boolean {
    return this.#leadership !== undefined && !this.#leadership.lost.aborted;
  }

  async #lead(): Promise<void> {
    const { identity, log } = this.#options;
    const campaign = { identity, ttlMs: electionTtlMs, signal: this.#stopping.signal };
    try {
      this.#leadership = await this.#store.elect('store/etcd-keeper', campaign);
      this.#loop.trigger();
    } catch (error) {
      if (!this.#stopping.signal.aborted) log.warn({ err: error }, 'the next look campaigns again');
    } finally {
      this.#campaign = undefined;
    }
  }

  async #pass(signal: AbortSignal): Promise<void | { againMs: number }> {
    if (!this.#isLeader()) this.#campaign ??= this.#lead();
    const alarms = await listAlarms(this.#store.client);
    const isFull = alarms.some(({ alarm }) => alarm === 'NOSPACE');
    if (!this.#isLeader() && !isFull) return;
    this.#seen = await this.#observe(alarms);
    const steps = planKeeping(this.#seen);
    for (const step of steps) {
      if (signal.aborted) return;
      this.#options.log.info({ step }, 'keeping etcd in order');
      await this.#act(step);
    }
    return steps.length > 0 || isFull ? { againMs } : undefined;
  }

  async #observe(alarms: Alarm[]): Promise<ClusterSeen> {
    const { client } = this.#store;
    const [members, { revision }] = await Promise.all([
      listMembers(client),
      this.#store.list('', { limit: 1 }),
    ]);
    const nowMs = this.#options.clock.monotonicMs();
    this.#marks.push({ atMs: nowMs, revision: revision.revision });
    const firstKept = this.#marks.findLastIndex(({ atMs }) => nowMs - atMs >= keepMs);
    this.#marks = this.#marks.slice(Math.max(0, firstKept));
    const answers = await Promise.allSettled(
      members.flatMap(({ clientUrl }) => (clientUrl ? [readStatus(client, clientUrl)] : [])),
    );
    const statuses = answers.flatMap((answer): MemberStatus[] =>
      answer.status === 'fulfilled' ? [answer.value] : [],
    );
    return {
      statuses,
      memberCount: members.length,
      alarms,
      nowMs,
      quotaBytes: this.#options.quotaBytes ?? quotaBytes,
      marks: this.#marks,
      compactedTo: this.#compactedTo,
      defragmentedAtMs: this.#defragmentedAtMs,
    };
  }

  async #act(step: KeepingStep): Promise<void> {
    const { client } = this.#store;
    if (step.kind === 'defragment') {
      await defragment(client, step.url);
      this.#defragmentedAtMs.set(step.url, this.#options.clock.monotonicMs());
      return;
    }
    if (step.kind === 'disarm') return disarm(client, step.alarm);
    await this.#store.compact(step.revision);
    this.#compactedTo = step.revision;
  }
}
