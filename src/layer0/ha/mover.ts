// `gantry cluster ha`, on the machine that has the embedded store: three members of etcd are started, the store is moved into
// them, and every machine is told. Until the store says that it has moved, every failure leaves it in charge.

import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';
import { newId } from '#core/ids';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { retry } from '#core/retry';
import type { Peers } from '#layer0/membership/index';
import { findStore, moveStore, readStatus } from '#layer0/store/index';
import type { HaClient } from './client.ts';
import { callTimeoutMs, clientPortOffset, lookMs, membersUpMs, peerPortOffset } from './config.ts';
import { chooseHosts, type Machine } from './decide/choose-hosts.ts';
import { haErrors } from './errors.ts';
import type { StorePlace } from './place.ts';
import type { MemberPlan, MoveStatus, Node, Place } from './wire.ts';

export interface MoverDeps {
  place: StorePlace;
  peers: Peers;
  /** A machine of the cluster, this one or another. */
  ask(hostId: string): Pick<HaClient, 'candidate' | 'runMember' | 'endMember'>;
  clock: Clock;
  random: Random;
  log: Log;
}

export class Mover {
  readonly #deps: MoverDeps;
  readonly #self: { hostId: string; version: string };
  readonly #ending = new AbortController();
  #status: MoveStatus = { state: 'idle' };
  #running: Promise<void> | undefined;

  constructor(deps: MoverDeps, self: { hostId: string; version: string }) {
    this.#deps = deps;
    this.#self = self;
  }

  get status(): MoveStatus {
    return this.#status;
  }

  /** Checks what must hold, then goes on by itself: `status` says how. */
  async begin(named: readonly string[] | undefined): Promise<void> {
    const { place, log } = this.#deps;
    if (place.behind.engine === 'etcd')
      throw haErrors.inCharge(
        'the store is on etcd already: gantry cluster status shows how it is',
      );
    if (this.#running || place.isUndecided)
      throw haErrors.busy(`the store is being moved already: ${this.#status.step ?? 'deciding'}`);
    const before = this.#status;
    this.#status = { state: 'running', step: 'looking at the machines' };
    try {
      const { hostId: self, version } = this.#self;
      const machines = await this.#see();
      const chosen = chooseHosts({ machines, self, version, named });
      this.#running = this.#run(chosen).finally(() => {
        this.#running = undefined;
      });
    } catch (error) {
      this.#status = before;
      throw error;
    }
    log.info('the store is being moved to etcd');
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #run(machines: readonly Machine[]): Promise<void> {
    const { log } = this.#deps;
    const token = newId('etcd');
    const nodes = machines.map(nodeOf);
    try {
      await this.#startMembers({ token, nodes, state: 'new', data: token });
      const place = { token, nodes, incarnation: newId('inc') };
      await this.#moveInto(place);
      await this.#adopt(place);
      this.#status = { state: 'running', step: 'telling the other machines' };
      await this.#tell(place);
      this.#status = { state: 'done' };
    } catch (error) {
      const { code, message } = toAppError(error);
      log.warn({ err: error }, 'the store was not moved to etcd');
      this.#status = { state: 'failed', error: { code, message } };
      // Not known: the members must stay, one of the next lives asks them.
      if (!this.#deps.place.isUndecided && !this.#ending.signal.aborted)
        await this.#endMembers(nodes, token);
    }
  }

  async #startMembers(plan: MemberPlan): Promise<void> {
    this.#status = { state: 'running', step: 'starting etcd on three machines' };
    const { place, clock, random } = this.#deps;
    for (const { hostId } of plan.nodes) await this.#deps.ask(hostId).runMember(plan);
    const client = place.client(plan.nodes);
    const patience = { minMs: 200, maxMs: 1_000, deadlineMs: membersUpMs };
    const options = { ...patience, clock, random, signal: this.#ending.signal };
    try {
      for (const { clientUrl, hostId } of plan.nodes) {
        await retry(() => readStatus(client, clientUrl), options).catch((cause: unknown) => {
          const text = `etcd on ${hostId} does not answer: ${toAppError(cause).message}`;
          throw haErrors.failed(`${text}. Are TCP ports ${clientUrl} and the one above open?`, {
            cause,
          });
        });
      }
      // Together: they have a leader, and there is no store yet.
      await retry(() => findStore(client, random), options);
    } finally {
      client.close();
    }
  }

  async #moveInto(next: Place): Promise<void> {
    const { place, clock, random, log } = this.#deps;
    const { behind } = place;
    if (behind.engine !== 'embedded') throw haErrors.failed('this machine has no embedded store');
    this.#status = { state: 'running', step: 'copying the store; writes are held' };
    const client = place.client(next.nodes);
    try {
      const { token, incarnation } = next;
      const moving = { source: behind.store, client, place: next, clock, random, log };
      await moveStore({ ...moving, signal: this.#ending.signal }, { token, incarnation });
    } finally {
      client.close();
    }
  }

  /** etcd is in charge: nothing is taken back any more, this is done again until it is done, if need be by the next life. */
  async #adopt(next: Place): Promise<void> {
    const { place, clock, log } = this.#deps;
    for (;;) {
      try {
        return await place.adopt(next);
      } catch (error) {
        log.error({ err: error }, 'the store is on etcd, and this machine cannot write that down');
        await clock.sleep(lookMs, this.#ending.signal);
      }
    }
  }

  /** Who does not hear it now finds out by itself. */
  async #tell(place: Place): Promise<void> {
    const { peers, log } = this.#deps;
    const others = peers.list().filter(({ hostId }) => hostId !== this.#self.hostId);
    for (const { hostId } of others)
      await peers
        .client(hostId)
        .json('PUT', '/ha/place', { body: place, timeoutMs: callTimeoutMs })
        .catch((error: unknown) => log.warn({ err: error, hostId }, 'it will find out by itself'));
  }

  async #endMembers(nodes: readonly Node[], token: string): Promise<void> {
    const { log } = this.#deps;
    for (const { hostId } of nodes)
      await this.#deps
        .ask(hostId)
        .endMember(token)
        .catch((error: unknown) => log.warn({ err: error, hostId }, 'its etcd is left over'));
  }

  async #see(): Promise<Machine[]> {
    const { peers } = this.#deps;
    return Promise.all(
      peers.list().map(async ({ hostId, name, address, port }) => {
        const candidate = await this.#deps
          .ask(hostId)
          .candidate()
          .catch(() => undefined);
        return { hostId, name, address, port, candidate };
      }),
    );
  }
}

export function nodeOf({
  hostId,
  address,
  port,
}: Pick<Machine, 'hostId' | 'address' | 'port'>): Node {
  return {
    hostId,
    clientUrl: `https://${address}:${port + clientPortOffset}`,
    peerUrl: `https://${address}:${port + peerPortOffset}`,
  };
}
