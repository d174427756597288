// The door for the daemon: loopback ports of other machines' processes here, ours there, and a watch over what goes between.

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import { hasCode, toAppError } from '#core/errors';
import type { HttpClient } from '#core/http-client';
import type { HttpServer } from '#core/http-server';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop } from '#core/reconcile';
import type { DiscoveryClient } from '#layer0/discovery/client';
import { carry } from './carry.ts';
import { askAgainMs, type Limits, limits, maxTunnels, resyncMs } from './config.ts';
import { type Wanted, wantedTunnels } from './decide/plan.ts';
import { Entrance } from './entrance.ts';
import { tunnelErrors } from './errors.ts';
import { apiPath, Exit, tunnelPath } from './exit.ts';
import { Links } from './links.ts';

export interface TunnelDeps {
  /** As this machine sees it. */
  discovery: Pick<DiscoveryClient, 'directory' | 'watchAll'>;
  /** To another member's peer door; throws when there is none of that id. */
  client(hostId: string): Pick<HttpClient, 'json' | 'upgrade'>;
  /** Which member's connection this is; undefined when it is no member's. */
  memberOf(socket: Duplex): string | undefined;
  clock: Clock;
  random: Random;
  log: Log;
}

export interface Tunnels extends Component {
  registerRoutes(server: HttpServer): void;
  /** Calls `end` when the member does not answer any more; returns what takes that back. */
  guard(hostId: string, end: () => void): () => void;
  /** Carries what `socket` says to the member's own layer-0 API, and the answer back. */
  carryToApi(hostId: string, socket: Socket): Promise<void>;
}

export interface TunnelConfig extends Partial<Limits> {
  /** This machine. */
  hostId: string;
  /** Path of the unix socket of its layer-0 API. */
  apiSocket: string;
}

export function createTunnels(deps: TunnelDeps, config: TunnelConfig): Tunnels {
  return new LoopbackTunnels(deps, { ...limits, ...config });
}

const pingPath = '/tunnels/ping';

class LoopbackTunnels implements Tunnels {
  readonly #deps: TunnelDeps;
  readonly #here: string;
  readonly #limits: Limits;
  readonly #links: Links;
  readonly #entrance: Entrance;
  readonly #exit: Exit;
  readonly #loop: Loop;
  #unwatch: (() => void) | undefined;

  constructor(deps: TunnelDeps, config: Required<TunnelConfig>) {
    const { discovery, memberOf, clock, random, log } = deps;
    const { hostId: here, apiSocket, maxConnections, pingEveryMs, endAfterMs } = config;
    this.#deps = deps;
    this.#here = here;
    this.#limits = config;
    this.#links = new Links({
      ping: (hostId) => this.#ping(hostId),
      onChange: () => {
        this.#entrance.refuseAway();
        this.#loop.trigger();
      },
      pingEveryMs,
      endAfterMs,
      clock,
      log,
    });
    const links = this.#links;
    const open = ({ host, handle, port }: Wanted) => this.#open(host, tunnelPath(handle, port));
    this.#entrance = new Entrance({ links, open, maxConnections, clock, log });
    this.#exit = new Exit({ here, apiSocket, discovery, links, memberOf, maxConnections });
    const run = () => this.#pass();
    this.#loop = createLoop({ name: 'tunnels', run, resyncMs, clock, random, log });
  }

  registerRoutes(server: HttpServer): void {
    const summary =
      'Is this machine there? What other members ask while they have connections to it';
    server.get(pingPath, { schema: { summary, tags: ['tunnels'] } }, (_request, reply) =>
      reply.status(204).send(),
    );
    this.#exit.registerRoute(server);
  }

  async start(): Promise<void> {
    this.#loop.start();
    this.#unwatch = this.#deps.discovery.watchAll(() => this.#loop.trigger());
  }

  async stop(): Promise<void> {
    this.#unwatch?.();
    await this.#loop.stop();
    this.#entrance.stop();
    this.#links.stop();
  }

  status(): Record<string, unknown> {
    const here = { ...this.#entrance.status(), taken: this.#exit.connections };
    return { tunnels: { ...here, away: this.#links.status().away, loop: this.#loop.status() } };
  }

  guard(hostId: string, end: () => void): () => void {
    return this.#links.guard(hostId, end);
  }

  async carryToApi(hostId: string, socket: Socket): Promise<void> {
    const far = await this.#open(hostId, apiPath);
    const release = this.#links.guard(hostId, () => far.destroy());
    far.once('close', release);
    if (socket.destroyed) far.destroy();
    else carry(socket, far);
  }

  async #pass(): Promise<void> {
    const services = this.#deps.discovery.directory()?.services;
    if (!services) return;
    const wanted = wantedTunnels(services, this.#here);
    if (wanted.size > maxTunnels)
      this.#deps.log.warn({ wanted: wanted.size, maxTunnels }, 'too many processes for tunnels');
    const few = new Map([...wanted].slice(0, maxTunnels));
    this.#links.keep(new Set([...few.values()].map(({ host }) => host)));
    await this.#entrance.listen(few);
  }

  async #ping(hostId: string): Promise<void> {
    const { pingTimeoutMs: timeoutMs } = this.#limits;
    const ask = () => this.#deps.client(hostId).json('GET', pingPath, { timeoutMs });
    await ask().catch((error) => onceMore(error, ask));
  }

  /** Nothing of the caller's is sent before this resolves, so that asking again is safe whatever the caller wants. */
  async #open(host: string, path: string): Promise<Duplex> {
    const { clock } = this.#deps;
    const { endAfterMs, pingTimeoutMs, patienceMs } = this.#limits;
    // Not before what is open would end: it is the links that give a machine up.
    const timeoutMs = endAfterMs + pingTimeoutMs;
    const ask = async () => {
      if (this.#links.isAway(host)) throw tunnelErrors.away(`${host} does not answer`);
      return this.#deps.client(host).upgrade(path, { protocol: 'tunnel', timeoutMs });
    };
    const untilMs = clock.monotonicMs() + patienceMs;
    for (;;) {
      try {
        const { socket, head } = await ask().catch((error) => onceMore(error, ask));
        socket.on('error', () => socket.destroy());
        if (head.length > 0) socket.unshift(head);
        return socket;
      } catch (error) {
        const { code } = toAppError(error);
        if (code === 'core.unreachable' || code === 'core.timeout') this.#links.doubt(host);
        if (!mayPass.has(code) || clock.monotonicMs() >= untilMs) throw error;
        await clock.sleep(askAgainMs);
      }
    }
  }
}

/** The machine may just have begun, or be about to answer again. */
const mayPass = new Set(['core.unreachable', 'tunnels.notFound', 'tunnels.away']);

/** A connection that was kept may have ended just now. */
function onceMore<T>(error: unknown, ask: () => Promise<T>): Promise<T> {
  if (hasCode(error, 'core.unreachable')) return ask();
  throw error;
}
