// Which store does this machine use? The one that etcd.json names; without it the embedded one of its disk, or that of the
// member that has it, until it learns that the store has moved. Nobody writes while nobody can know.

import { join } from 'node:path';
import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import { hasCode, toAppError } from '#core/errors';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { parser } from '#core/schema';
import type { Peers } from '#layer0/membership/index';
import { createStoreOver } from '#layer0/store/client';
import {
  attachEtcdStore,
  createEtcdKeeper,
  EtcdClient,
  type EtcdStore,
  type MovableStore,
  openSqliteStore,
  type ServedStore,
  SwitchingStore,
  settleMove,
} from '#layer0/store/index';
import { haErrors } from './errors.ts';
import type { HaFiles } from './files.ts';
import { type Node, type Place, placeSchema } from './wire.ts';

export interface PlaceDeps {
  peers: Peers;
  files: HaFiles;
  clock: Clock;
  random: Random;
  log: Log;
}

export interface PlaceConfig {
  home: string;
  hostId: string;
  /** Host id of the machine with the embedded store; empty where it is this one. */
  storeHost: string;
}

/** What is behind the store of this process. */
type Behind =
  | { engine: 'embedded'; store: MovableStore }
  | { engine: 'remote'; store: ServedStore }
  | { engine: 'etcd'; store: EtcdStore; place: Place; keeper: Component };

const placeParser = parser(placeSchema);

export class StorePlace {
  readonly #deps: PlaceDeps;
  readonly #config: PlaceConfig;
  readonly #ending = new AbortController();
  #behind: Behind | undefined;
  #store: SwitchingStore | undefined;
  /** A move that an earlier life began, and that only etcd can say the end of. */
  #settling: Promise<void> | undefined;
  #lastAdopted: Promise<unknown> = Promise.resolve();

  constructor(deps: PlaceDeps, config: PlaceConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  get store(): SwitchingStore {
    if (!this.#store) throw haErrors.failed('the store has not been opened');
    return this.#store;
  }

  get behind(): Behind {
    if (!this.#behind) throw haErrors.failed('the store has not been opened');
    return this.#behind;
  }

  get place(): Place | undefined {
    return this.behind.engine === 'etcd' ? this.behind.place : undefined;
  }

  /** True while nobody knows whether the embedded store or etcd is in charge. */
  get isUndecided(): boolean {
    return this.#settling !== undefined;
  }

  async open(): Promise<SwitchingStore> {
    const { files, clock, random, log } = this.#deps;
    const place = await files.readPlace();
    this.#behind = place ? this.#attach(place) : await this.#openFirst();
    this.#store = new SwitchingStore(this.#behind.store, { clock, random, log });
    if (this.#behind.engine === 'etcd') await this.#behind.keeper.start();
    if (this.#behind.engine === 'embedded') this.#settleEarlier(this.#behind.store);
    return this.#store;
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#settling;
    if (this.#behind?.engine === 'etcd') await this.#behind.keeper.stop();
    await this.#store?.close();
  }

  /** From now on the store is there, also in every later life of this machine. Told twice at once is told once. */
  adopt(place: Place): Promise<void> {
    const adopted = this.#lastAdopted.then(() => this.#adopt(place));
    this.#lastAdopted = adopted.catch(() => undefined);
    return adopted;
  }

  async #adopt(place: Place): Promise<void> {
    const { files, log } = this.#deps;
    const { behind } = this;
    if (behind.engine === 'etcd') return this.update(place);
    await files.writePlace(place);
    const next = this.#attach(place);
    this.#behind = next;
    await this.store.switchTo(next.store);
    await next.keeper.start();
    log.info({ place }, 'the store is on etcd now');
  }

  /** Machines with a copy came or went. */
  async update(place: Place): Promise<void> {
    const { behind } = this;
    if (behind.engine !== 'etcd' || JSON.stringify(place) === JSON.stringify(behind.place)) return;
    if (place.token !== behind.place.token)
      throw haErrors.inCharge('the store is in another etcd already');
    await this.#deps.files.writePlace(place);
    behind.store.client.setEndpoints(this.#endpoints(place.nodes));
    behind.place = place;
  }

  /** Calls to an etcd that is not in charge, or not yet. */
  client(nodes: readonly Node[]): EtcdClient {
    const { clock } = this.#deps;
    return new EtcdClient({ ...this.#access(nodes), clock });
  }

  #attach(place: Place): Behind & { engine: 'etcd' } {
    const { clock, random, log } = this.#deps;
    const { incarnation } = place;
    const store = attachEtcdStore({
      ...this.#access(place.nodes),
      incarnation,
      clock,
      random,
      log: log.child({ part: 'store' }),
    });
    const identity = this.#config.hostId;
    const keeper = createEtcdKeeper(store, { identity, clock, random, log });
    return { engine: 'etcd', store, place, keeper };
  }

  /** Without etcd.json: the store of the disk, unless that says that it was moved. */
  async #openFirst(): Promise<Behind> {
    const { peers, clock, random, log, files } = this.#deps;
    const { home, hostId, storeHost } = this.#config;
    const deps = { clock, random, log: log.child({ part: 'store' }) };
    if (storeHost !== '' && storeHost !== hostId) {
      const store = createStoreOver(() => peers.client(storeHost), deps);
      const status = () => ({ engine: 'remote', host: storeHost });
      return { engine: 'remote', store: Object.assign(store, { status }) };
    }
    try {
      const store = await openSqliteStore({ folder: join(home, 'store'), ...deps });
      return { engine: 'embedded', store };
    } catch (error) {
      if (!hasCode(error, 'store.moved')) throw error;
      const place = placeParser.parse(toAppError(error).detail, 'the mark in the store that moved');
      await files.writePlace(place);
      return this.#attach(place);
    }
  }

  #settleEarlier(source: MovableStore): void {
    const mark = source.readMove();
    if (mark?.state !== 'deciding') return;
    const { clock, random, log } = this.#deps;
    const place = placeParser.parse(mark.place, 'the mark in the store that moves');
    const client = this.client(place.nodes);
    const moving = { source, client, place, clock, random, log, signal: this.#ending.signal };
    this.#settling = settleMove(moving, source.hold())
      .then((isMoved) => (isMoved ? this.adopt(place) : undefined))
      .catch((error: unknown) => {
        if (!this.#ending.signal.aborted) throw error;
      })
      .finally(() => {
        client.close();
        this.#settling = undefined;
      });
  }

  #access(nodes: readonly Node[]) {
    const { peers } = this.#deps;
    return {
      endpoints: this.#endpoints(nodes),
      credentials: () => {
        const { authorityPem: ca, certificatePem: cert, keyPem: key } = peers.identity;
        return { ca, cert, key };
      },
    };
  }

  /** This machine's own first. */
  #endpoints(nodes: readonly Node[]): string[] {
    const isOwn = ({ hostId }: Node) => Number(hostId === this.#config.hostId);
    return [...nodes].sort((a, b) => isOwn(b) - isOwn(a)).map(({ clientUrl }) => clientUrl);
  }
}
