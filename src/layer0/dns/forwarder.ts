// Asks the machine's own resolvers for everything that is not ours: again after 150 ms, the next one each time,
// because a lost packet must not cost the client its five seconds. Equal questions share one way out.

import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { connect } from 'node:net';
import type { Clock, Timer } from '#core/clock';
import { AnswerCache } from './cache.ts';
import { encodeRefusal, type Query, rcodes, udpLimit } from './packet.ts';

export const resendMs = 150;
export const maxSends = 8;
/** Questions on their way at the same time; one more is answered SERVFAIL at once. */
export const maxInFlight = 256;
/** Clients that wait for the same answer. */
export const maxWaiters = 64;
const tcpTimeoutMs = 3_000;
const flagTruncated = 0x02;

export interface ForwarderDeps {
  clock: Clock;
  upstreams: () => readonly string[];
  /** Where upstreams listen: 53 but in tests. */
  port?: number;
}

type Reply = (answer: Buffer) => void;

export class Forwarder {
  readonly #deps: ForwarderDeps;
  readonly #cache: AnswerCache;
  readonly #flights = new Map<string, Flight>();
  readonly counts = { cached: 0, forwarded: 0, failed: 0, refused: 0 };

  constructor(deps: ForwarderDeps) {
    this.#deps = deps;
    this.#cache = new AnswerCache(deps.clock);
  }

  /** Calls `reply` once, with a whole message that fits the client, or with SERVFAIL. */
  ask(query: Query, isTcp: boolean, reply: Reply): void {
    const deliver = (answer: Buffer | undefined) => reply(fit(query, isTcp, answer));
    const key = keyOf(query, isTcp);
    const cached = this.#cache.read(key);
    if (cached) {
      this.counts.cached++;
      deliver(cached);
      return;
    }
    const flying = this.#flights.get(key);
    if (flying?.join(deliver)) return;
    if (flying || this.#flights.size >= maxInFlight) {
      this.counts.refused++;
      deliver(undefined);
      return;
    }
    this.counts.forwarded++;
    const flight = new Flight(query, isTcp, this.#deps, (answer) => {
      this.#flights.delete(key);
      if (answer) this.#cache.write(key, answer);
      else this.counts.failed++;
    });
    this.#flights.set(key, flight);
    flight.join(deliver);
    flight.send();
  }

  status(): Record<string, number> {
    return { ...this.counts, inFlight: this.#flights.size, kept: this.#cache.size };
  }

  close(): void {
    for (const flight of [...this.#flights.values()]) flight.end(undefined);
  }
}

/** What makes two questions equal: the name, type and class, and all that changes the answer's shape. */
function keyOf(query: Query, isTcp: boolean): string {
  const flags = query.message.readUInt16BE(2) & 0x0110;
  const asked = query.message.toString('latin1', query.end - 4, query.end);
  const shape = `${flags}${query.ednsBytes > 0 ? 'e' : ''}${query.wantsDnssec ? 'd' : ''}`;
  return `${query.name}${asked}${shape}${isTcp ? 't' : ''}`;
}

/** The answer under the client's id and spelling; cut to its question when it is too long for it. */
function fit(query: Query, isTcp: boolean, answer: Buffer | undefined): Buffer {
  if (!answer) return encodeRefusal(query.message, rcodes.failure);
  query.message.copy(answer, 0, 0, 2);
  query.message.copy(answer, 12, 12, query.end);
  if (isTcp || answer.length <= udpLimit(query)) return answer;
  const short = Buffer.from(answer.subarray(0, query.end));
  short[2] = (short[2] ?? 0) | flagTruncated;
  short.fill(0, 6, 12);
  return short;
}

/** One question on its way, with a port and an id of its own, so that nobody else can answer it. */
class Flight {
  readonly #question: Buffer;
  readonly #end: number;
  readonly #isTcp: boolean;
  readonly #deps: ForwarderDeps;
  readonly #onEnd: (answer: Buffer | undefined) => void;
  readonly #socket: Socket;
  readonly #upstreams: readonly string[];
  #waiters: ((answer: Buffer | undefined) => void)[] = [];
  #timer: Timer | undefined;
  #sends = 0;
  #isOver = false;

  constructor(
    query: Query,
    isTcp: boolean,
    deps: ForwarderDeps,
    onEnd: (answer: Buffer | undefined) => void,
  ) {
    this.#question = Buffer.from(query.message);
    this.#question.writeUInt16BE(randomInt(0x10000), 0);
    this.#end = query.end;
    this.#isTcp = isTcp;
    this.#deps = deps;
    this.#onEnd = onEnd;
    this.#upstreams = deps.upstreams();
    const isSix = this.#upstreams[0]?.includes(':') === true;
    this.#socket = createSocket({ type: isSix ? 'udp6' : 'udp4', lookup: literal });
    this.#socket.on('message', (message, from) => this.#take(message, from.address));
    this.#socket.on('error', () => this.end(undefined));
  }

  /** False when too many wait already. */
  join(deliver: (answer: Buffer | undefined) => void): boolean {
    if (this.#isOver || this.#waiters.length >= maxWaiters) return false;
    this.#waiters.push(deliver);
    return true;
  }

  send(): void {
    const upstream = this.#upstreams[this.#sends % Math.max(1, this.#upstreams.length)];
    if (this.#isOver) return;
    if (upstream === undefined || this.#sends >= maxSends) {
      this.end(undefined);
      return;
    }
    this.#sends++;
    // A send that fails is like one that is lost: the next one goes to the next upstream.
    this.#socket.send(this.#question, this.#deps.port ?? 53, upstream, () => undefined);
    this.#timer = this.#deps.clock.timer(resendMs, () => this.send());
  }

  end(answer: Buffer | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    this.#socket.close();
    const waiters = this.#waiters;
    this.#waiters = [];
    this.#onEnd(answer);
    for (const deliver of waiters) deliver(answer && Buffer.from(answer));
  }

  #take(message: Buffer, from: string): void {
    if (!this.#upstreams.includes(from) || !this.#isAnswer(message)) return;
    const isCut = ((message[2] ?? 0) & flagTruncated) !== 0;
    if (isCut && this.#isTcp) this.#overTcp(from);
    else this.end(message);
  }

  #isAnswer(message: Buffer): boolean {
    if (message.length < this.#end || ((message[2] ?? 0) & 0x80) === 0) return false;
    const isSameId = message.readUInt16BE(0) === this.#question.readUInt16BE(0);
    const asked = this.#question.toString('latin1', 12, this.#end).toLowerCase();
    return isSameId && message.toString('latin1', 12, this.#end).toLowerCase() === asked;
  }

  #overTcp(upstream: string): void {
    this.#timer?.cancel();
    const socket = connect({ host: upstream, port: this.#deps.port ?? 53 });
    let received = Buffer.alloc(0);
    this.#timer = this.#deps.clock.timer(tcpTimeoutMs, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.end(undefined));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const message = received.subarray(2, 2 + received.readUInt16BE(0));
      if (this.#isAnswer(message)) this.end(Buffer.from(message));
      socket.destroy();
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(this.#question.length);
    socket.write(Buffer.concat([length, this.#question]));
  }
}

/** Upstreams are addresses: looking them up would only cost a turn of the event loop. */
export function literal(
  address: string,
  _options: unknown,
  done: (error: null, address: string, family: number) => void,
): void {
  done(null, address, address.includes(':') ? 6 : 4);
}
