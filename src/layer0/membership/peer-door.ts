// The one listener for other machines. Members, known by their certificate, get the layer-0 API; a machine without one may join;
// everybody else is closed out and logged.

import { constants } from 'node:crypto';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Clock } from '#core/clock';
import { hasCode } from '#core/errors';
import type { Log } from '#core/log';
import { handshakeTimeoutMs, lastWordsMs, maxStrangers } from './config.ts';
import { membershipErrors } from './errors.ts';
import { hostIdOf, type Identity } from './identity.ts';

export interface PeerDoorDeps {
  /** The layer-0 API. It takes the connections of members as if they had come to its own socket. */
  members: HttpServer;
  /** What a machine without a certificate may ask. */
  strangers: HttpServer;
  isMember(hostId: string): boolean;
  clock: Clock;
  log: Log;
}

export class PeerDoor {
  readonly #deps: PeerDoorDeps;
  /** What a machine hears that was a member once: every call is answered with the reason. */
  readonly #farewell = createHttpServer((_request, response) => {
    const error = membershipErrors.removed(
      'this machine is no member of the cluster (any more): it was removed from it',
    );
    response.writeHead(error.status, { 'content-type': 'application/json', connection: 'close' });
    response.end(JSON.stringify(error.toBody()));
  });
  #server: Server | undefined;
  readonly #sockets = new Map<TLSSocket, string | undefined>();
  /** Of those who are members no longer. */
  readonly #leaving = new WeakSet<TLSSocket>();

  constructor(deps: PeerDoorDeps) {
    this.#deps = deps;
  }

  get isOpen(): boolean {
    return this.#server !== undefined;
  }

  /** Port 0 lets the system choose. Returns the port. */
  async open(identity: Identity, address: string, port: number): Promise<number> {
    const server = createServer(
      {
        ...secrets(identity),
        requestCert: true,
        rejectUnauthorized: false,
        handshakeTimeout: handshakeTimeoutMs,
      },
      (socket) => this.#take(socket),
    );
    server.on('tlsClientError', (error, socket) => {
      // Who is gone again at once wanted to know whether this machine is there: failure detectors do, each second.
      if (hasCode(error, 'ECONNRESET')) return;
      this.#deps.log.info(
        { from: socket.remoteAddress, reason: error.message },
        'no TLS at the peer door',
      );
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, address, () => resolve());
    });
    this.#server = server;
    const bound = server.address();
    return bound !== null && typeof bound === 'object' ? bound.port : port;
  }

  /** Connections made from now on see this certificate. */
  renew(identity: Identity): void {
    this.#server?.setSecureContext(secrets(identity));
  }

  /** Whose connection this is; undefined for one that is no member's. */
  memberOf(socket: Duplex): string | undefined {
    return this.#sockets.get(socket as TLSSocket);
  }

  /**
   * Ends the connections of those who are members no longer, a moment later: the answer to a machine that took itself out is on
   * its way over one of them.
   */
  recheck(): void {
    const { isMember, clock } = this.#deps;
    for (const [socket, hostId] of this.#sockets) {
      if (hostId === undefined || isMember(hostId) || this.#leaving.has(socket)) continue;
      this.#leaving.add(socket);
      clock.timer(lastWordsMs, () => {
        if (!socket.destroyed) this.#refuse(socket, `${hostId} is not a member`);
      });
    }
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.#sockets.keys()) socket.destroy();
    await closed;
  }

  #take(socket: TLSSocket): void {
    socket.on('error', () => socket.destroy());
    const caller = this.#judge(socket);
    if ('reason' in caller) {
      this.#refuse(socket, caller.reason);
      return;
    }
    const { members, strangers, log } = this.#deps;
    if (caller.kind === 'gone') {
      log.warn({ from: socket.remoteAddress, host: caller.hostId }, 'a removed machine called');
      this.#keep(socket, undefined);
      this.#farewell.emit('connection', socket);
      return;
    }
    this.#keep(socket, caller.kind === 'member' ? caller.hostId : undefined);
    (caller.kind === 'member' ? members : strangers).emit('connection', socket);
  }

  #judge(socket: TLSSocket): Caller | { reason: string } {
    const certificate = socket.getPeerX509Certificate();
    if (!certificate) {
      const strangers = [...this.#sockets.values()].filter((hostId) => hostId === undefined);
      if (strangers.length < maxStrangers) return { kind: 'stranger' };
      return { reason: 'too many others without a certificate' };
    }
    if (!socket.authorized)
      return { reason: `its certificate does not count: ${socket.authorizationError}` };
    const hostId = hostIdOf(certificate.subject);
    return { kind: this.#deps.isMember(hostId) ? 'member' : 'gone', hostId };
  }

  #keep(socket: TLSSocket, hostId: string | undefined): void {
    this.#sockets.set(socket, hostId);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #refuse(socket: TLSSocket, reason: string): void {
    this.#deps.log.warn({ from: socket.remoteAddress, reason }, 'refused at the peer door');
    socket.destroy();
  }
}

/** A member, one that was a member by its certificate, or somebody without one. */
type Caller = { kind: 'member' | 'gone'; hostId: string } | { kind: 'stranger' };

function secrets({ keyPem, certificatePem, authorityPem }: Identity): TlsOptions {
  return {
    key: keyPem,
    // With the authority: a machine that joins compares it with the fingerprint in its token.
    cert: `${certificatePem}\n${authorityPem}`,
    ca: authorityPem,
    minVersion: 'TLSv1.3',
    // No resumed sessions: who was removed shows its certificate again, and is refused.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}
