// Brings one HAProxy worker to the table: observe -> decide -> act -> observe. Between passes it keeps what it knows of
// the worker, and reads everything again when the worker is another one, a command failed, or time has passed.

import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import {
  observeHealth,
  observeInfo,
  observeSessions,
  observeUsable,
  observeWorker,
} from './act/observe.ts';
import type { Channel } from './act/runtime-socket.ts';
import type { ProxyPaths, RouterConfig } from './config.ts';
import { checkEveryMs, commandsOf } from './decide/commands.ts';
import type { WorkerState } from './decide/state.ts';
import {
  applyStep,
  type Certificates,
  decideRemovals,
  decideSilent,
  decideSteps,
  doubtfulBackends,
  holdServer,
  leavingServers,
  type Removals,
  type ServerRef,
  type Step,
} from './decide/steps.ts';
import type { Table } from './decide/table.ts';
import { routerErrors } from './errors.ts';

export interface Desired {
  table: Table;
  certificates: Certificates;
  shape: string;
}

/** Ends what this machine has open to an address on another machine; answers how many connections. */
export type EndConnections = (address: string) => Promise<number>;

export interface WorkerDeps {
  channel: Channel;
  endConnections: EndConnections;
  settings: RouterConfig;
  paths: ProxyPaths;
  clock: Clock;
  log: Log;
}

/** Longest time that what is known of a worker is trusted without reading it again. */
const trustMs = 30_000;
/** Shortest time between two looks for machines that are silent. */
const silentLookMs = 500;
/** Answers of HAProxy that mean the command was done; everything else is a refusal. */
const isDone =
  /^(\s*|.*(New server registered|Server deleted|Success|created|inserted|deleted|updated|Committing|New empty).*)$/is;
/** A server that cannot be deleted yet, because a connection to it is kept; the next pass tries again. */
const isHeld = /still has connections attached/i;

export class Worker {
  readonly #deps: WorkerDeps;
  #state: WorkerState | undefined;
  /** The table that `#state` has, as far as steps can give it. */
  #has: Table | undefined;
  #readAtMs = 0;
  #serverCount = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** Requests wait for a machine that says nothing. */
  #isSilent = false;

  constructor(deps: WorkerDeps) {
    this.#deps = deps;
  }

  get pid(): number | undefined {
    return this.#state?.pid;
  }

  /** What it has now; read in full only where what is known may be wrong. */
  async observe(): Promise<WorkerState> {
    const { channel, clock, paths } = this.#deps;
    const info = await observeInfo(channel);
    const isKnown =
      this.#state?.pid === info.pid &&
      this.#state.shape === info.shape &&
      clock.monotonicMs() - this.#readAtMs < trustMs;
    if (this.#state && isKnown) return this.#state;
    const before = this.#state?.servers;
    this.#has = undefined;
    this.#state = await observeWorker(channel, paths);
    this.#readAtMs = clock.monotonicMs();
    for (const [backend, servers] of this.#state.servers) {
      for (const [name, server] of servers) {
        const goneSinceMs = before?.get(backend)?.get(name)?.goneSinceMs;
        if (goneSinceMs !== undefined) server.goneSinceMs = goneSinceMs;
      }
    }
    return this.#state;
  }

  /** Everything is read again at the next pass. */
  forget(): void {
    this.#readAtMs = Number.NEGATIVE_INFINITY;
  }

  /** One pass, on what `observe` has just answered. Answers the servers that still have requests in flight. */
  async bring({ table, certificates }: Desired, state: WorkerState): Promise<ServerRef[]> {
    const steps = decideSteps(table, certificates, state, this.#has);
    this.#has = undefined;
    this.#serverCount = table.serverCount;
    await this.#act(state, steps);
    this.#has = table;
    const { steps: removals, busy } = await this.#decideRemovals(table, state);
    await this.#act(state, removals, 'tolerate');
    await this.#endSilent(table, state);
    return busy;
  }

  /**
   * A machine that is gone says nothing: what waits for an answer of it would wait for minutes. Its instances are out by
   * HAProxy's checks by now, so that what is sent again goes elsewhere. HAProxy sends again what was on a connection that has
   * failed, and never what it is told to end itself: that is only for a machine whose kernel ends no connections.
   */
  async #endSilent(table: Table, state: WorkerState): Promise<void> {
    const { channel, clock, settings } = this.#deps;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#lookedAtMs < silentLookMs) return;
    this.#lookedAtMs = nowMs;
    this.#isSilent = false;
    if (!table.hasElsewhere) return;
    const doubtful = doubtfulBackends(table, await observeUsable(channel));
    if (doubtful.length === 0) return;
    const health = await observeHealth(channel, doubtful);
    const { over, isWaiting } = decideSilent(table, health, settings.silentBoundMs);
    this.#isSilent = isWaiting;
    if (over.length === 0) return;
    const addresses = [...new Set(over.map(({ address }) => address))];
    this.#deps.log.warn({ addresses }, 'machines are silent: ends what waits for them');
    const stays = await this.#endConnections(addresses);
    const left = over.filter(({ address }) => stays.has(address));
    const steps = left.map(
      ({ backend, name }): Step => ({ do: 'end-sessions', at: { backend, name } }),
    );
    await this.#act(state, steps, 'tolerate');
  }

  /** Answers the addresses to which none could be ended. */
  async #endConnections(addresses: readonly string[]): Promise<Set<string>> {
    const { endConnections, log } = this.#deps;
    const ended = await Promise.all(
      addresses.map((address) =>
        endConnections(address).catch((error: unknown) => {
          log.warn({ err: error, address }, 'connections to a silent machine could not be ended');
          return 0;
        }),
      ),
    );
    return new Set(addresses.filter((_address, index) => ended[index] === 0));
  }

  /** Of a worker that ends: HAProxy changes nothing in it any more, but its requests count. */
  async look({ table }: Desired): Promise<ServerRef[]> {
    const { busy } = await this.#decideRemovals(table, await this.observe());
    return busy;
  }

  async #decideRemovals(table: Table, state: WorkerState): Promise<Removals> {
    const leaving = leavingServers(table, state);
    if (leaving.length === 0) return { steps: [], busy: [] };
    const nowMs = this.#deps.clock.monotonicMs();
    for (const { backend, name } of leaving) {
      const server = state.servers.get(backend)?.get(name);
      if (server && !table.backends.get(backend)?.has(name)) server.goneSinceMs ??= nowMs;
    }
    const sessions = await observeSessions(this.#deps.channel, leaving);
    const { goneBoundMs } = this.#deps.settings;
    return decideRemovals(table, state, sessions, { nowMs, goneBoundMs });
  }

  /** True while a server waits for its last requests, so that another pass should follow soon. */
  isWaiting(table: Table): boolean {
    if (this.#isSilent) return true;
    return this.#state !== undefined && leavingServers(table, this.#state).length > 0;
  }

  async #act(state: WorkerState, steps: readonly Step[], mode?: 'tolerate'): Promise<void> {
    if (steps.length === 0) return;
    const { channel, paths, settings, log } = this.#deps;
    const context = { ...paths, checkMs: checkEveryMs(settings.checkMs, this.#serverCount) };
    const commands = steps.map((step) => commandsOf(step, context));
    let answers: string[];
    try {
      answers = await channel.run(commands.flat());
    } catch (error) {
      this.forget();
      throw error;
    }
    const refusals: string[] = [];
    steps.forEach((step, index) => {
      const mine = commands[index] ?? [];
      const said = answers.splice(0, mine.length);
      const bad = said.findIndex((answer) => !isDone.test(answer));
      if (bad === -1) applyStep(state, step);
      else if (isHeld.test(said[bad] ?? '')) holdServer(state, step);
      else refusals.push(String(mine[bad]).split('\n')[0] ?? '');
    });
    if (refusals.length === 0) return;
    this.forget();
    const message = `HAProxy refused ${refusals.length} of ${steps.length} changes, the first: ${refusals[0]}`;
    if (mode === 'tolerate') log.debug({ refusals: refusals.slice(0, 5) }, message);
    else throw routerErrors.commandFailed(message, { detail: refusals.slice(0, 5) });
  }
}
