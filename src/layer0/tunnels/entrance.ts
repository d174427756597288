// The near end: a loopback port here for each port of a process on another machine's loopback.

import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';
import type { Log } from '#core/log';
import { carry } from './carry.ts';
import { speakFirstMs } from './config.ts';
import type { Wanted } from './decide/plan.ts';
import type { Links } from './links.ts';

export interface EntranceDeps {
  links: Links;
  maxConnections: number;
  /** A connection to the process on its machine, which speaks in frames. */
  open(wanted: Wanted): Promise<Duplex>;
  clock: Clock;
  log: Log;
}

export class Entrance {
  readonly #deps: EntranceDeps;
  readonly #servers = new Map<string, { server: Server; host: string }>();
  readonly #refused = new Map<string, string>();
  #connections = 0;

  constructor(deps: EntranceDeps) {
    this.#deps = deps;
  }

  /** Nobody who could go elsewhere waits for a machine that is away; the next `listen` may be late on a busy machine. */
  refuseAway(): void {
    for (const [key, { server, host }] of this.#servers)
      if (this.#deps.links.isAway(host)) this.#close(key, server);
  }

  /**
   * Listens for these and no others. One whose machine is away is not listened for: whoever dials is refused at once, as by
   * a process that is gone. Connections that are open go on.
   */
  async listen(wanted: ReadonlyMap<string, Wanted>): Promise<void> {
    const there = [...wanted].filter(([, { host }]) => !this.#deps.links.isAway(host));
    const keys = new Set(there.map(([key]) => key));
    for (const [key, { server }] of this.#servers) if (!keys.has(key)) this.#close(key, server);
    for (const key of this.#refused.keys()) if (!keys.has(key)) this.#refused.delete(key);
    for (const [key, one] of there) if (!this.#servers.has(key)) await this.#open(key, one);
  }

  stop(): void {
    for (const [key, { server }] of this.#servers) this.#close(key, server);
  }

  status(): Record<string, unknown> {
    return {
      tunnels: this.#servers.size,
      connections: this.#connections,
      refused: Object.fromEntries(this.#refused),
    };
  }

  /** A port that is taken is said, and tried again at the next look. */
  async #open(key: string, wanted: Wanted): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#take(socket, wanted));
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen(wanted.port, wanted.address, () => resolve());
      });
    } catch (error) {
      const { message } = toAppError(error);
      if (this.#refused.get(key) !== message)
        this.#deps.log.warn({ ...wanted, err: error }, 'a tunnel cannot be listened for');
      this.#refused.set(key, message);
      return;
    }
    server.on('error', (error) =>
      this.#deps.log.warn({ ...wanted, err: error }, 'a tunnel failed'),
    );
    this.#refused.delete(key);
    this.#servers.set(key, { server, host: wanted.host });
  }

  #close(key: string, server: Server): void {
    this.#servers.delete(key);
    server.close();
  }

  #take(socket: Socket, wanted: Wanted): void {
    socket.on('error', () => socket.destroy());
    if (this.#connections >= this.#deps.maxConnections) {
      socket.resetAndDestroy();
      return;
    }
    this.#connections++;
    socket.once('close', () => this.#connections--);
    const { links, clock } = this.#deps;
    const release = links.guard(wanted.host, () => socket.resetAndDestroy());
    socket.once('close', release);
    const onFirst = (chunk?: Buffer) => {
      timer.cancel();
      socket.off('data', onFirst).off('end', onEnd).pause();
      if (chunk) socket.unshift(chunk);
      void this.#connect(socket, wanted);
    };
    // It looked whether the port is open, and went.
    const onEnd = () => {
      timer.cancel();
      socket.destroy();
    };
    const timer = clock.timer(speakFirstMs, onFirst);
    socket.once('close', () => timer.cancel());
    socket.on('data', onFirst).on('end', onEnd);
  }

  async #connect(socket: Socket, wanted: Wanted): Promise<void> {
    const { links, open, log } = this.#deps;
    try {
      const far = await open(wanted);
      const release = links.guard(wanted.host, () => far.destroy());
      far.once('close', release);
      if (socket.destroyed) far.destroy();
      else carry(socket, far);
    } catch (error) {
      const { code, message } = toAppError(error);
      log.info({ ...wanted, code, reason: message }, 'no connection through a tunnel');
      socket.resetAndDestroy();
    }
  }
}
