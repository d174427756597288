// A port of loopback that ends at the registry of another machine, over mutual TLS through its peer door: the engine needs no
// configuration to pull from there. Either end that is silent for long is let go.

import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { toAppError } from '#core/errors';
import { refuseUpgrade } from '#core/http-server';
import type { Log } from '#core/log';
import { imageErrors } from '#layer0/images/client';
import type { Peers } from '#layer0/membership/index';

const loopback = '127.0.0.1';
/** A registry that packs or looks for long still says something; a machine that froze does not. */
const silenceMs = 120_000;
const dialTimeoutMs = 10_000;

export interface TunnelDeps {
  peers: Pick<Peers, 'client'>;
  /** This machine, and the port that its own registry listens on. */
  local: { hostId: string; port: number };
  /** To listen on. */
  port: number;
  log: Log;
}

export class TunnelPort {
  readonly #deps: TunnelDeps;
  readonly #sockets = new Set<Duplex>();
  #server: Server | undefined;
  #host = '';

  constructor(deps: TunnelDeps) {
    this.#deps = deps;
  }

  /** From now on to this machine; connections to another one are ended. */
  async open(host: string): Promise<void> {
    if (host !== this.#host) this.#end();
    this.#host = host;
    if (this.#server) return;
    const server = createServer((socket) => void this.#take(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(this.#deps.port, loopback, () => resolve());
    });
    this.#server = server;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    this.#end();
    await closed;
  }

  #end(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async #take(socket: Socket): Promise<void> {
    socket.on('error', () => socket.destroy());
    try {
      const { local, peers } = this.#deps;
      const far =
        this.#host === local.hostId
          ? await dial(local.port)
          : (await peers.client(this.#host).upgrade('/images/registry')).socket;
      this.#keep(socket);
      this.#keep(far);
      join(socket, far);
    } catch (error) {
      const reason = toAppError(error).message;
      this.#deps.log.info({ host: this.#host, reason }, 'the registry there is not reached');
      socket.destroy();
    }
  }

  #keep(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

/** The far end: the connection of a member becomes one to the registry here. */
export async function answerTunnel(port: number, socket: Duplex, head: Buffer): Promise<void> {
  try {
    const registry = await dial(port);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: tcp\r\n\r\n');
    if (head.length > 0) socket.unshift(head);
    join(socket, registry);
  } catch (cause) {
    refuseUpgrade(socket, imageErrors.registry('there is no registry on this machine', { cause }));
  }
}

function dial(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: loopback, port });
    socket.setTimeout(dialTimeoutMs, () => socket.destroy(new Error('it does not answer')));
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

/** Bytes both ways until either end is through; an error of one ends both. */
function join(one: Duplex, other: Duplex): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.destroy());
    from.once('close', () => to.destroy());
    (from as Socket).setTimeout?.(silenceMs, () => from.destroy());
    from.pipe(to);
  }
}
