// Keeps as many copies of the store as are wanted, on machines of the cluster: one machine of all, by election, takes out the
// member of a machine that was removed and lets another one learn. Every machine follows who the members are.

import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop } from '#core/reconcile';
import type { Peers } from '#layer0/membership/index';
import type { Leadership } from '#layer0/store/client';
import {
  addLearner,
  type ClusterMember,
  type EtcdStore,
  listMembers,
  promoteMember,
  removeMember,
} from '#layer0/store/index';
import type { HaClient } from './client.ts';
import { electionTtlMs, membersEveryMs, neededBytes, wantedMembers } from './config.ts';
import { type KnownMachine, type MemberStep, planMembers } from './decide/plan-members.ts';
import type { EtcdMember } from './member.ts';
import { nodeOf } from './mover.ts';
import type { StorePlace } from './place.ts';
import type { Node, Place } from './wire.ts';

export interface MembersDeps {
  place: StorePlace;
  member: EtcdMember;
  peers: Peers;
  /** A machine of the cluster, this one or another. */
  ask(hostId: string): Pick<HaClient, 'candidate' | 'runMember'>;
  clock: Clock;
  random: Random;
  log: Log;
  /** Instead of `membersEveryMs`. */
  everyMs?: number;
}

export class Members {
  readonly #deps: MembersDeps;
  readonly #hostId: string;
  readonly #loop: Loop;
  readonly #ending = new AbortController();
  #campaign: Promise<void> | undefined;
  #leadership: Leadership | undefined;

  constructor(deps: MembersDeps, { hostId }: { hostId: string }) {
    this.#deps = deps;
    this.#hostId = hostId;
    const { clock, random, log, everyMs: resyncMs = membersEveryMs } = deps;
    this.#loop = createLoop({
      name: 'ha/members',
      resyncMs,
      clock,
      random,
      log,
      run: () => this.#pass(),
    });
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await Promise.all([this.#loop.stop(), this.#campaign]);
    if (this.#isLeader()) await this.#leadership?.resign();
  }

  async #pass(): Promise<void> {
    const { behind } = this.#deps.place;
    if (behind.engine !== 'etcd') return;
    const listed = await listMembers(behind.store.client);
    await this.#follow(listed, behind.place);
    if (!this.#isLeader()) {
      this.#campaign ??= this.#lead(behind.store);
      return;
    }
    const step = planMembers(listed, await this.#machines(listed), wantedMembers);
    if (!step) return;
    this.#deps.log.info({ step }, 'the copies of the store change');
    await this.#act(step, { listed, place: behind.place, store: behind.store });
    this.#loop.trigger();
  }

  /** Endpoints, and this machine's own member: one that was taken out ends here. */
  async #follow(listed: readonly ClusterMember[], place: Place): Promise<void> {
    const nodes = listed.flatMap(({ name, clientUrl, peerUrl, isLearner }): Node[] =>
      clientUrl === undefined || isLearner ? [] : [{ hostId: name, clientUrl, peerUrl }],
    );
    const sorted = nodes.sort((a, b) => (a.hostId < b.hostId ? -1 : 1));
    if (sorted.length > 0) await this.#deps.place.update({ ...place, nodes: sorted });
    const { plan } = this.#deps.member;
    const own = plan?.nodes.find(({ hostId }) => hostId === this.#hostId);
    if (!own || plan?.token !== place.token) return;
    if (listed.some(({ name, peerUrl }) => name === this.#hostId || peerUrl === own.peerUrl))
      return;
    this.#deps.log.info('this machine has no copy of the store any more');
    await this.#deps.member.end();
  }

  #isLeader(): boolean {
    return this.#leadership !== undefined && !this.#leadership.lost.aborted;
  }

  async #lead(store: EtcdStore): Promise<void> {
    const campaign = { identity: this.#hostId, ttlMs: electionTtlMs, signal: this.#ending.signal };
    try {
      this.#leadership = await store.elect('ha/members', campaign);
      this.#loop.trigger();
    } catch (error) {
      if (!this.#ending.signal.aborted)
        this.#deps.log.warn({ err: error }, 'the next look campaigns again');
    } finally {
      this.#campaign = undefined;
    }
  }

  /** All are asked only when somebody may be needed. */
  async #machines(listed: readonly ClusterMember[]): Promise<KnownMachine[]> {
    const isWhole = listed.length >= wantedMembers && listed.every(({ isLearner }) => !isLearner);
    return Promise.all(
      this.#deps.peers.list().map(async (peer) => ({
        node: nodeOf(peer),
        name: peer.name,
        isFit: !isWhole && (await this.#isFit(peer.hostId)),
      })),
    );
  }

  async #isFit(hostId: string): Promise<boolean> {
    try {
      return (await this.#deps.ask(hostId).candidate()).freeBytes >= neededBytes;
    } catch (error) {
      this.#deps.log.debug({ err: toAppError(error), hostId }, 'it does not answer');
      return false;
    }
  }

  async #act(
    step: MemberStep,
    { listed, place, store }: { listed: ClusterMember[]; place: Place; store: EtcdStore },
  ): Promise<void> {
    const { client } = store;
    switch (step.kind) {
      case 'remove':
        return removeMember(client, step.id);
      case 'promote':
        return promoteMember(client, step.id);
      case 'add':
        // The next look starts it.
        await addLearner(client, { name: step.node.hostId, peerUrl: step.node.peerUrl });
        return;
      case 'start':
        return this.#run(step, listed, place);
    }
  }

  #run(
    { id, node }: MemberStep & { kind: 'start' },
    listed: readonly ClusterMember[],
    { token }: Place,
  ): Promise<void> {
    const others = listed.flatMap(({ name, clientUrl, peerUrl }): Node[] =>
      clientUrl === undefined || name === node.hostId ? [] : [{ hostId: name, clientUrl, peerUrl }],
    );
    const data = `${token}-${id}`;
    const plan = { token, state: 'existing' as const, nodes: [...others, node], data };
    return this.#deps.ask(node.hostId).runMember(plan);
  }
}
