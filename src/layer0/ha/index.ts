// The door for the daemon: the store of this machine wherever it is, this machine's member of etcd, and the way there.

import { statfs } from 'node:fs/promises';
import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import { toAppError } from '#core/errors';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop } from '#core/reconcile';
import type { Peers } from '#layer0/membership/index';
import { findStore, type SwitchingStore } from '#layer0/store/index';
import type { HaClient } from './client.ts';
import { callTimeoutMs, candidateTimeoutMs, lookMs } from './config.ts';
import { haErrors } from './errors.ts';
import { HaFiles } from './files.ts';
import { EtcdMember, type MemberDeps } from './member.ts';
import { Members } from './members.ts';
import { Mover } from './mover.ts';
import { StorePlace } from './place.ts';
import { RenewalTurn } from './renewal-turn.ts';
import { readHaStatus } from './status.ts';
import type { Candidate, HaStatus, MemberPlan, Place, Renewal } from './wire.ts';

export { registerHaRoutes } from './http.ts';

export interface HaDeps {
  peers: Peers;
  runtime: MemberDeps['runtime'];
  containers: MemberDeps['containers'];
  clock: Clock;
  random: Random;
  log: Log;
}

export interface HaConfig {
  home: string;
  clusterId: string;
  hostId: string;
  storeHost: string;
  version: string;
}

export interface Ha extends HaClient, Pick<Component, 'stop'> {
  /** Starts this machine's etcd, if it has one, and opens the store. Neither waits for the other machines. */
  open(): Promise<SwitchingStore>;
  /** What a machine that joins is told: who has the store, as far as it needs to know. */
  storeHost(): string;
  /** Whether the etcd of this machine is of the daemon's version. */
  renewal(): Renewal;
  shown(): Record<string, unknown>;
}

export function createHa(deps: HaDeps, config: HaConfig): Ha {
  return new StoreOnMachines(deps, config);
}

class StoreOnMachines implements Ha {
  readonly #deps: HaDeps;
  readonly #config: HaConfig;
  readonly #place: StorePlace;
  readonly #member: EtcdMember;
  readonly #mover: Mover;
  readonly #members: Members;
  readonly #loop: Loop;

  constructor(deps: HaDeps, config: HaConfig) {
    this.#deps = deps;
    this.#config = config;
    const { peers, runtime, containers, clock, random, log } = deps;
    const files = new HaFiles(config.home);
    this.#place = new StorePlace({ peers, files, clock, random, log }, config);
    const turn = new RenewalTurn({ place: this.#place, peers, clock, log }, config);
    const engine = { runtime, containers };
    this.#member = new EtcdMember({ ...engine, turn, files, clock, random, log }, config);
    const ask = (hostId: string) => this.#ask(hostId);
    const shared = { place: this.#place, peers, ask, clock, random, log };
    this.#mover = new Mover(shared, config);
    this.#members = new Members({ ...shared, member: this.#member }, config);
    this.#loop = createLoop({
      name: 'ha',
      resyncMs: lookMs,
      clock,
      random,
      log,
      run: () => this.#look(),
    });
  }

  async open(): Promise<SwitchingStore> {
    await this.#member.start();
    const store = await this.#place.open();
    this.#loop.start();
    this.#members.start();
    return store;
  }

  /** etcd runs on: only this process lets go. */
  async stop(): Promise<void> {
    await this.#mover.stop();
    await this.#members.stop();
    await this.#loop.stop();
    await this.#member.stop();
    await this.#place.close();
  }

  storeHost(): string {
    const { hostId, storeHost } = this.#config;
    return this.#place.behind.engine === 'remote' ? storeHost : hostId;
  }

  renewal(): Renewal {
    return this.#member.renewal;
  }

  shown(): Record<string, unknown> {
    const { engine } = this.#place.behind;
    const { isUndecided } = this.#place;
    return {
      ha: { engine, isUndecided, move: this.#mover.status, member: this.#member.status() },
    };
  }

  status(): Promise<HaStatus> {
    const { peers, clock } = this.#deps;
    const { behind, isUndecided } = this.#place;
    const storeHost = this.storeHost();
    const move = this.#mover.status;
    return readHaStatus({ behind, isUndecided, storeHost, move, peers, clock });
  }

  async move(hosts?: readonly string[]): Promise<void> {
    const { peers } = this.#deps;
    if (this.#place.behind.engine !== 'remote') return this.#mover.begin(hosts);
    await peers.client(this.#config.storeHost).json('POST', '/ha/move', {
      body: hosts ? { hosts } : {},
      timeoutMs: 30_000,
    });
  }

  async place(): Promise<Place | undefined> {
    return this.#place.place;
  }

  async adopt(place: Place): Promise<void> {
    if (this.#place.behind.engine === 'embedded')
      throw haErrors.unfit('this machine has the embedded store: only itself can move it');
    await this.#place.adopt(place);
  }

  async candidate(): Promise<Candidate> {
    const { home, hostId, version } = this.#config;
    const { bavail, bsize } = await statfs(home);
    const token = this.#member.plan?.token;
    const { renewal } = this.#member;
    return { hostId, version, freeBytes: bavail * bsize, renewal, ...(token ? { token } : {}) };
  }

  async runMember(plan: MemberPlan): Promise<void> {
    const inCharge = this.#place.place?.token;
    if (inCharge !== undefined && inCharge !== plan.token)
      throw haErrors.inCharge('the store is on etcd already: no other one is started here');
    await this.#member.run(plan);
  }

  async endMember(token: string): Promise<void> {
    if (this.#member.plan?.token !== token) return;
    if (this.#place.place?.token === token)
      throw haErrors.inCharge('this etcd is in charge: its members are changed by host remove');
    // Unknown is not given up: what does not answer is left alone, until a member of another etcd takes its place.
    const incarnation = await this.#findStore(this.#member.plan);
    if (incarnation !== undefined)
      throw haErrors.inCharge('this etcd holds a store: its members are changed by host remove');
    await this.#member.end();
  }

  #ask(hostId: string): Pick<HaClient, 'candidate' | 'runMember' | 'endMember'> {
    if (hostId === this.#config.hostId) return this;
    const http = this.#deps.peers.client(hostId);
    const timeoutMs = callTimeoutMs;
    return {
      candidate: () => http.json<Candidate>('GET', '/ha/member', { timeoutMs: candidateTimeoutMs }),
      runMember: (body) => http.json('PUT', '/ha/member', { body, timeoutMs }),
      endMember: (token) => http.json('DELETE', `/ha/member/${token}`, { timeoutMs }),
    };
  }

  /** On a machine that does not know yet: has the store moved? */
  async #look(): Promise<void> {
    if (this.#place.behind.engine !== 'remote') return;
    const place = (await this.#lookAtOwn()) ?? (await this.#askPeers());
    if (place) await this.#place.adopt(place);
  }

  /** Its own member may know, also when who moved the store is gone. */
  async #lookAtOwn(): Promise<Place | undefined> {
    const { plan } = this.#member;
    if (!plan) return undefined;
    const { token, nodes } = plan;
    try {
      const incarnation = await this.#findStore(plan);
      return incarnation === undefined ? undefined : { token, nodes, incarnation };
    } catch (error) {
      this.#deps.log.debug({ err: toAppError(error) }, 'the etcd here does not say');
      return undefined;
    }
  }

  async #findStore({ nodes }: MemberPlan): Promise<string | undefined> {
    const client = this.#place.client(nodes);
    try {
      return await findStore(client, this.#deps.random);
    } finally {
      client.close();
    }
  }

  async #askPeers(): Promise<Place | undefined> {
    const { peers } = this.#deps;
    const others = peers.list().filter(({ hostId }) => hostId !== this.#config.hostId);
    const answers = await Promise.allSettled(
      others.map(({ hostId }) =>
        peers.client(hostId).json<{ place?: Place }>('GET', '/ha/place', { timeoutMs: lookMs }),
      ),
    );
    for (const answer of answers)
      if (answer.status === 'fulfilled' && answer.value.place) return answer.value.place;
    return undefined;
  }
}
