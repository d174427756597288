// The door for the daemon and tests: members are admitted, known, certified and let go.

import { createHash, randomBytes } from 'node:crypto';
import type { Server as HttpServer } from 'node:http';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import { newId } from '#core/ids';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop } from '#core/reconcile';
import { createMirror, listAll, type Mirror, type Store } from '#layer0/store/client';
import {
  type Authority,
  fingerprintOf,
  issueCertificate,
  makeAuthority,
  makeRequest,
} from './act/authority.ts';
import { removeMember } from './act/remove-member.ts';
import type { MembershipClient } from './client.ts';
import { lastWordsMs, maxTokens, resyncMs, tokenTtlMs } from './config.ts';
import { planMembership, type Step } from './decide/plan.ts';
import { formatToken, refusalOf } from './decide/token.ts';
import { membershipErrors } from './errors.ts';
import { endOf, type Identity, isDue, readIdentity, writeIdentity } from './identity.ts';
import { PeerDoor } from './peer-door.ts';
import type { Peers } from './peers.ts';
import {
  type AuthorityRecord,
  authorityKey,
  type IssuedToken,
  type JoinAnswer,
  type JoinRequest,
  type Member,
  memberKey,
  memberPrefix,
  type Removed,
  removedKey,
  removedPrefix,
  type TokenRecord,
  tokenKey,
  tokenPrefix,
} from './wire.ts';

export { membershipSettings } from './config.ts';
export { registerJoinRoute, registerMembershipRoutes } from './http.ts';
export { readIdentity, writeIdentity } from './identity.ts';
export { join as joinCluster } from './join.ts';
export { Peers } from './peers.ts';

export interface MembershipDeps {
  store: Store;
  peers: Peers;
  seal: {
    seal(context: string, plain: string): string;
    open(context: string, sealed: string): string;
  };
  /** Base64; what a new member gets, so that it can open config values. */
  sealKey: string;
  /** The layer-0 API, and what machines without a certificate may ask. */
  servers: { members: HttpServer; strangers: HttpServer };
  clock: Clock;
  random: Random;
  log: Log;
}

export interface MembershipConfig {
  clusterId: string;
  hostId: string;
  hostName: string;
  hostAddress: string;
  peerPort: number;
  /** `<home>`; the files are in `membership/` below. */
  home: string;
  /** Handed to a machine that joins. */
  settings(): Record<string, string>;
}

export interface Membership extends MembershipClient, Component {
  /** When this machine's certificate ends; undefined where it has none. */
  certificateEndsAt(): number | undefined;
  /** Which member a connection at the peer door is of; undefined for any other connection. */
  memberOf(socket: Duplex): string | undefined;
}

export function createMembership(deps: MembershipDeps, config: MembershipConfig): Membership {
  return new StoredMembership(deps, config);
}

/** `<home>/membership`. */
export function membershipFolder(home: string): string {
  return join(home, 'membership');
}

const sealContext = 'membership/authority';

class StoredMembership implements Membership {
  readonly #deps: MembershipDeps;
  readonly #config: MembershipConfig;
  readonly #door: PeerDoor;
  readonly #loop: Loop;
  readonly #ending = new AbortController();
  #mirror: Mirror<unknown> | undefined;
  #identity: Identity | undefined;
  #lastPass = Promise.resolve();

  constructor(deps: MembershipDeps, config: MembershipConfig) {
    this.#deps = deps;
    this.#config = config;
    const { servers, peers, clock, random, log } = deps;
    this.#door = new PeerDoor({
      ...servers,
      isMember: (hostId) => peers.get(hostId) !== undefined,
      clock,
      log,
    });
    this.#loop = createLoop({
      name: 'membership',
      run: () => this.#pass(),
      resyncMs,
      clock,
      random,
      log,
    });
  }

  async start(): Promise<void> {
    const { store, clock, random, log } = this.#deps;
    this.#identity = await readIdentity(this.#folder);
    if (this.#identity) this.#deps.peers.use(this.#identity);
    const signal = this.#ending.signal;
    const onChange = () => this.#loop.trigger();
    this.#mirror = createMirror(store, 'membership/', { clock, random, log, signal, onChange });
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#loop.stop();
    await this.#door.close();
  }

  status(): Record<string, unknown> {
    return {
      membership: {
        members: this.#deps.peers.list().length,
        isDoorOpen: this.#door.isOpen,
        loop: this.#loop.status(),
      },
    };
  }

  certificateEndsAt(): number | undefined {
    return this.#identity && endOf(this.#identity);
  }

  memberOf(socket: Duplex): string | undefined {
    return this.#door.memberOf(socket);
  }

  async list(): Promise<Member[]> {
    return (await listAll<Member>(this.#deps.store, memberPrefix)).map(({ value }) => value);
  }

  async createToken(): Promise<IssuedToken> {
    const { store, clock } = this.#deps;
    const now = clock.now();
    const tokens = await listAll<TokenRecord>(this.#deps.store, tokenPrefix);
    if (tokens.length >= maxTokens)
      throw membershipErrors.tooManyTokens(
        `no new join token: ${tokens.length} of the last day are kept already`,
      );
    const secret = randomBytes(24).toString('base64url');
    const record: TokenRecord = { createdAt: now, expiresAt: now + tokenTtlMs };
    const { certificatePem } = await this.#authority();
    const { revision } = await store.txn({
      compare: [],
      operations: [{ put: tokenKey(hashOf(secret)), value: record }],
    });
    await this.#mirror?.caughtUp(revision);
    await this.#pass();
    const { hostAddress, hostId, peerPort } = this.#config;
    const others = this.#deps.peers.list().filter((member) => member.hostId !== hostId);
    const addresses = [
      `${hostAddress}:${peerPort}`,
      ...others.map(({ address, port }) => `${address}:${port}`),
    ];
    const authority = fingerprintOf(certificatePem);
    return {
      token: formatToken({ addresses: addresses.slice(0, 5), authority, secret }),
      expiresAt: record.expiresAt,
    };
  }

  async admit(request: JoinRequest, from: string): Promise<JoinAnswer> {
    const { store, clock, log } = this.#deps;
    const key = tokenKey(hashOf(request.secret));
    const token = await store.get<TokenRecord>(key);
    const refusal = refusalOf(token?.value, clock.now());
    if (!token || refusal !== undefined) {
      log.warn({ from, name: request.name, reason: refusal }, 'a machine was not let in');
      throw membershipErrors.tokenRefused(
        `${request.name} is not let in: ${refusal}. gantry host join-token makes a new one`,
      );
    }
    const { name, address, port, requestPem } = request;
    const hostId = newId('host');
    const now = clock.now();
    const authority = await this.#authority();
    const certificatePem = await issueCertificate(authority, {
      hostId,
      address,
      requestPem,
      now,
    });
    const member: Member = { hostId, name, address, port, admittedAt: now };
    const used: TokenRecord = { ...token.value, usedBy: hostId };
    const { ok, revision } = await store.txn({
      compare: [{ key, modRevision: token.modRevision }],
      operations: [
        { put: key, value: used },
        { put: memberKey(hostId), value: member },
      ],
    });
    // Somebody else was faster with this token, or it was collected: the second look says which.
    if (!ok) return this.admit(request, from);
    log.info({ from, member }, 'a machine joined');
    // It calls at once: its certificate must count by then.
    await this.#mirror?.caughtUp(revision);
    await this.#pass();
    return {
      hostId,
      clusterId: this.#config.clusterId,
      certificatePem,
      authorityPem: authority.certificatePem,
      sealKey: this.#deps.sealKey,
      members: await this.list(),
      settings: this.#config.settings(),
    };
  }

  async remove(hostId: string): Promise<void> {
    const { store, clock, log } = this.#deps;
    const name = await removeMember(store, hostId, clock.now());
    log.info({ host: hostId, name }, 'a machine was removed');
  }

  get #folder(): string {
    return membershipFolder(this.#config.home);
  }

  /** One at a time: whoever makes a token waits for the door to be open, and the loop comes by as well. */
  #pass(): Promise<void> {
    const pass = this.#lastPass.then(() => this.#onePass());
    this.#lastPass = pass.catch(() => undefined);
    return pass;
  }

  async #onePass(): Promise<void> {
    const mirror = this.#mirror;
    if (!mirror) return;
    await mirror.synced;
    const { peers, clock } = this.#deps;
    for (const step of planMembership(this.#see(mirror))) await this.#act(step);
    const before = peers.list().length;
    await peers.update(this.#members(mirror));
    this.#door.recheck();
    // The door may have stayed open for who left.
    if (peers.list().length < before) clock.timer(lastWordsMs, () => this.#loop.trigger());
  }

  #see(mirror: Mirror<unknown>) {
    const { hostId, hostName: name, hostAddress: address, peerPort: port } = this.#config;
    const now = this.#deps.clock.now();
    const entries = [...mirror.entries()];
    const tokens = entries.filter(([key]) => key.startsWith(tokenPrefix));
    const removed = entries.filter(([key]) => key.startsWith(removedPrefix));
    return {
      now,
      self: { hostId, name, address, port },
      members: new Map(this.#members(mirror).map((member) => [member.hostId, member])),
      tokens: new Map(
        tokens.map(([key, { value }]) => [key.slice(tokenPrefix.length), value as TokenRecord]),
      ),
      removed: new Map(
        removed.map(([key, { value }]) => [key.slice(removedPrefix.length), value as Removed]),
      ),
      isCertificateDue: this.#identity && isDue(this.#identity, { now, address }),
      isDoorOpen: this.#door.isOpen,
    };
  }

  #members(mirror: Mirror<unknown>): Member[] {
    return [...mirror.entries()]
      .filter(([key]) => key.startsWith(memberPrefix))
      .map(([, { value }]) => value as Member);
  }

  async #act(step: Step): Promise<void> {
    const { store } = this.#deps;
    switch (step.kind) {
      case 'certify':
        return this.#certify();
      case 'correct-self': {
        const operations = [{ put: memberKey(step.member.hostId), value: step.member }];
        const compare = [{ key: memberKey(step.member.hostId), is: 'present' as const }];
        await store.txn({ compare, operations });
        return;
      }
      case 'open-door': {
        if (!this.#identity) return;
        await this.#door.open(this.#identity, this.#config.hostAddress, this.#config.peerPort);
        return;
      }
      case 'close-door':
        return this.#door.close();
      case 'forget-removed':
        await store.txn({ compare: [], operations: [{ delete: removedKey(step.host) }] });
        return;
      case 'forget-token':
        await store.txn({ compare: [], operations: [{ delete: tokenKey(step.hash) }] });
        return;
    }
  }

  /** Authority and first member in one commit, when a first token is asked for; another that was faster is as good. */
  async #found(): Promise<void> {
    const { store, clock, seal } = this.#deps;
    const {
      clusterId,
      hostId,
      hostName: name,
      hostAddress: address,
      peerPort: port,
    } = this.#config;
    const now = clock.now();
    const { certificatePem, keyPem } = await makeAuthority(clusterId, now);
    const record: AuthorityRecord = {
      certificatePem,
      sealedKeyPem: seal.seal(sealContext, keyPem),
    };
    const member: Member = { hostId, name, address, port, admittedAt: now };
    await store.txn({
      compare: [{ key: authorityKey, is: 'absent' }],
      operations: [
        { put: authorityKey, value: record },
        { put: memberKey(hostId), value: member },
      ],
    });
  }

  async #certify(): Promise<void> {
    const { clock, peers, log } = this.#deps;
    const { hostId, hostAddress: address } = this.#config;
    const authority = await this.#authority();
    const { keyPem, requestPem } = await makeRequest();
    const now = clock.now();
    const certificatePem = await issueCertificate(authority, {
      hostId,
      address,
      requestPem,
      now,
    });
    const identity: Identity = {
      hostId,
      keyPem,
      certificatePem,
      authorityPem: authority.certificatePem,
    };
    await writeIdentity(this.#folder, identity);
    this.#identity = identity;
    peers.use(identity);
    this.#door.renew(identity);
    log.info({ hostId }, 'this machine has a new certificate');
  }

  async #authority(): Promise<Authority> {
    const { store } = this.#deps;
    let record = await store.get<AuthorityRecord>(authorityKey);
    if (!record) {
      await this.#found();
      record = await store.get<AuthorityRecord>(authorityKey);
    }
    if (!record) throw membershipErrors.authority('the authority that was just made is gone');
    const { certificatePem, sealedKeyPem } = record.value;
    return { certificatePem, keyPem: this.#deps.seal.open(sealContext, sealedKeyPem) };
  }
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
