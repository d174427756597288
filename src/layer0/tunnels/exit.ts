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
  /** Path of the unix socket of this machine's layer-0 API. */
  apiSocket: string;
  discovery: Pick<DiscoveryClient, 'directory'>;
  links: Links;
  maxConnections: number;
  /** Which member's connection this is; undefined when it is no member's. */
  memberOf(socket: Duplex): string | undefined;
}

export const apiPath = '/tunnels/api';
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
    onUpgrade(server, [
      {
        path: pathPattern,
        handle: (_request, far, head, [, name = '', digits]) => {
          const [handle, port] = [decodeURIComponent(name), Number(digits)];
          const what = `${handle} on port ${port}`;
          return this.#answer({ far, head, what, end: this.#endOf(handle, port) });
        },
      },
      {
        path: new RegExp(`^${apiPath}$`),
        handle: (_request, far, head) => {
          const end = { path: this.#deps.apiSocket };
          return this.#answer({ far, head, what: 'the layer-0 API', end });
        },
      },
    ]);
  }

  /** Where the process listens, if it is one that may be reached. */
  #endOf(handle: string, port: number): End | undefined {
    const { here, discovery } = this.#deps;
    const services = discovery.directory()?.services;
    if (!services || !isOffered(services, { here, handle, port })) return undefined;
    return { host: '127.0.0.1', port };
  }

  async #answer({ far, head, what, end }: Asked): Promise<void> {
    const { links, memberOf, maxConnections } = this.#deps;
    const member = memberOf(far);
    if (member === undefined || end === undefined)
      throw tunnelErrors.notFound(`there is no tunnel to ${what} of this machine`);
    if (this.#connections >= maxConnections)
      throw tunnelErrors.tooMany(`${this.#connections} connections end at this machine already`);
    this.#connections++;
    far.once('close', () => this.#connections--);
    const release = links.guard(member, () => far.destroy());
    far.once('close', release);
    const local = await dial(end, what);
    if (far.destroyed) {
      local.destroy();
      return;
    }
    far.write(accepted);
    if (head.length > 0) far.unshift(head);
    carry(local, far);
  }
}

const accepted =
  'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: tunnel\r\n\r\n';

type End = { host: string; port: number } | { path: string };

interface Asked {
  far: Duplex;
  head: Buffer;
  what: string;
  /** Undefined: there is none that may be reached. */
  end: End | undefined;
}

function dial(end: End, what: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...end, allowHalfOpen: true });
    const fail = (cause?: Error) => {
      socket.destroy();
      reject(tunnelErrors.refused(`${what} takes no connection`, { cause }));
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
