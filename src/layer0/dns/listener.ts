// One gateway address: a UDP and a TCP socket that answer the containers of one app network and nobody else.
// The bridge may come later than the table and go earlier: binding is tried until it works.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { createServer, type Server, type Socket as TcpSocket } from 'node:net';
import type { Clock, Timer } from '#core/clock';
import type { DnsListener } from '#layer0/discovery/wire';
import { literal } from './forwarder.ts';
import { addressNumber } from './packet.ts';

export const rebindMs = 250;
/** Per listener: what a hostile container can hold open, and for how long. */
export const maxTcpClients = 64;
export const tcpIdleMs = 10_000;
const minTcpQueryBytes = 2 + 12;
const maxTcpQueryBytes = 4096;
const maxUnreadBytes = 65_536;

/** Calls `reply` once or never. */
export type Handle = (message: Buffer, isTcp: boolean, reply: (answer: Buffer) => void) => void;

export interface ListenerDeps {
  clock: Clock;
  port: number;
  handle: Handle;
  onBound(): void;
  onFailed(error: NodeJS.ErrnoException): void;
}

export class Listener {
  readonly record: DnsListener;
  readonly #deps: ListenerDeps;
  readonly #isInside: (address: string) => boolean;
  #udp: Socket | undefined;
  #tcp: Server | undefined;
  #tcpClients = new Set<TcpSocket>();
  #timer: Timer | undefined;
  #isClosed = false;
  isBound = false;

  constructor(record: DnsListener, deps: ListenerDeps) {
    this.record = record;
    this.#deps = deps;
    this.#isInside = subnetTest(record.subnet);
    this.#bind();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#release();
  }

  #release(): void {
    this.isBound = false;
    this.#udp?.close();
    this.#tcp?.close();
    for (const client of this.#tcpClients) client.destroy();
    this.#udp = undefined;
    this.#tcp = undefined;
  }

  #bind(): void {
    const { address } = this.record;
    const { port } = this.#deps;
    // Two processes may share the port for a moment: that is how one replaces the other without a gap.
    const udp = createSocket({ type: 'udp4', reusePort: true, lookup: literal });
    const tcp = createServer((client) => this.#serveTcp(client));
    tcp.maxConnections = maxTcpClients;
    this.#udp = udp;
    this.#tcp = tcp;
    const fail = (error: NodeJS.ErrnoException) => this.#fail(udp, error);
    udp.on('error', fail);
    tcp.on('error', fail);
    udp.on('message', (message, from) => this.#serveUdp(udp, message, from));
    udp.bind({ address, port }, () => {
      if (this.#udp !== udp) return;
      tcp.listen({ host: address, port: udp.address().port, reusePort: true }, () => {
        if (this.#tcp !== tcp) return;
        this.isBound = true;
        this.#deps.onBound();
      });
    });
  }

  #fail(udp: Socket, error: NodeJS.ErrnoException): void {
    if (this.#isClosed || this.#udp !== udp) return;
    this.#release();
    this.#deps.onFailed(error);
    this.#timer = this.#deps.clock.timer(rebindMs, () => this.#bind());
  }

  #serveUdp(udp: Socket, message: Buffer, from: RemoteInfo): void {
    if (from.port === 0 || !this.#isInside(from.address)) return;
    this.#deps.handle(message, false, (answer) => {
      // Without a callback a failed send is silent, which is right: it is like a lost one, and the client asks again.
      if (this.#udp === udp) udp.send(answer, from.port, from.address);
    });
  }

  #serveTcp(client: TcpSocket): void {
    client.on('error', () => client.destroy());
    if (!this.#isInside(client.remoteAddress ?? '')) return void client.destroy();
    this.#tcpClients.add(client);
    client.on('close', () => this.#tcpClients.delete(client));
    client.setTimeout(tcpIdleMs, () => client.destroy());
    let received = Buffer.alloc(0);
    client.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2) {
        const end = 2 + received.readUInt16BE(0);
        if (end < minTcpQueryBytes || end > maxTcpQueryBytes) return void client.destroy();
        if (client.writableLength > maxUnreadBytes) return void client.destroy();
        if (received.length < end) return;
        this.#deps.handle(received.subarray(2, end), true, (answer) => {
          const length = Buffer.alloc(2);
          length.writeUInt16BE(answer.length);
          if (client.writable) client.write(Buffer.concat([length, answer]));
        });
        received = received.subarray(end);
      }
    });
  }
}

/** A test of textual IPv4 addresses, made once per subnet. */
export function subnetTest(subnet: string): (address: string) => boolean {
  const [base = '', length = ''] = subnet.split('/');
  const size = 2 ** (32 - Number(length));
  const first = Math.floor(addressNumber(base) / size);
  return (address) => Math.floor(addressNumber(address) / size) === first;
}
