// The far end: another member asks for a port of a process here. Only ports that this machine's own agent registered in
// discovery as being on loopback are reached.

import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type HttpServer, onUpgrade } from '#core/http-server';
import type { DiscoveryClient } from '#layer0/discovery/client';
import { carry } from './carry.ts';
import { dialTimeoutMs } from './config.ts';
import { isOffered } from './decide/plan.ts';
import { tunnelErrors } from './errors.ts';
import type { Links } from './links.ts';

export interface ExitDeps {
  here: string;
  discovery: Pick<DiscoveryClient, 'directory'>;
  links: Links;
  maxConnections: number;
  /** Which member's connection this is; undefined when it is no member's. */
  memberOf(socket: Duplex): string | undefined;
}

export const tunnelPath = (handle: string, port: number) =>
  `/tunnels/${encodeURIComponent(handle)}/${port}`;
const pathPattern = /^\/tunnels\/([\w.%-]+)\/(\d{1,5})$/;

export class Exit {
  readonly #deps: ExitDeps;
  #connections = 0;

  constructor(deps: ExitDeps) {
    this.#deps = deps;
  }

  get connections(): number {
    return this.#connections;
  }

  registerRoute(server: HttpServer): void {
    const path = pathPattern;
    onUpgrade(server, [
      {
        path,
        handle: (_request, socket, head, [, handle = '', port]) =>
          this.#answer({ socket, head, handle: decodeURIComponent(handle), port: Number(port) }),
      },
    ]);
  }

  async #answer(asked: {
    socket: Duplex;
    head: Buffer;
    handle: string;
    port: number;
  }): Promise<void> {
    const { here, discovery, links, memberOf } = this.#deps;
    const { socket: far, head, handle, port } = asked;
    const member = memberOf(far);
    const services = discovery.directory()?.services;
    if (member === undefined || !services || !isOffered(services, { here, handle, port }))
      throw tunnelErrors.notFound(`no process ${handle} listens on port ${port} of this machine`);
    if (this.#connections >= this.#deps.maxConnections)
      throw tunnelErrors.tooMany(`${this.#connections} connections end at this machine already`);
    this.#connections++;
    far.once('close', () => this.#connections--);
    const release = links.guard(member, () => far.destroy());
    far.once('close', release);
    const local = await dial(port, handle);
    if (far.destroyed) {
      local.destroy();
      return;
    }
    far.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: tunnel\r\n\r\n');
    if (head.length > 0) far.unshift(head);
    carry(local, far);
  }
}

function dial(port: number, handle: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    const fail = (cause?: Error) => {
      socket.destroy();
      reject(tunnelErrors.refused(`${handle} does not answer on port ${port}`, { cause }));
    };
    socket.setTimeout(dialTimeoutMs, () => fail());
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.setTimeout(0).off('error', fail);
      socket.on('error', () => socket.destroy());
      resolve(socket);
    });
  });
}
