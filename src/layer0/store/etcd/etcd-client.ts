// Calls to etcd's members: one connection each, the next member when one fails.
// A call that may have been done is sent again only when doing it twice is the same as doing it once.

import type { Clock, Timer } from '#core/clock';
import { type AppError, coreErrors } from '#core/errors';
import { storeErrors } from '../errors.ts';
import type { Call } from './calls.ts';
import { Connection } from './connection.ts';
import { judgeError } from './decide/judge-error.ts';
import { decodeMessage, encodeMessage } from './protobuf.ts';

/** PEM: the authority of the members, and what is shown to them. */
export interface Credentials {
  ca: string;
  cert: string;
  key: string;
}

export interface EtcdAccess {
  /** Client URLs of the members, the nearest first: the first that works is used until it fails. */
  endpoints: string[];
  /** Of each connection that is made: certificates are made anew while this runs. */
  credentials?: () => Credentials;
  /** Longest time for one call, milliseconds. */
  timeoutMs?: number;
}

/** A little more than etcd's own limit of 7 s, whose answer says more than our silence. */
const defaultTimeoutMs = 10_000;
/** How often a member with open streams is asked whether it still follows the cluster, milliseconds. */
export const pulseMs = 5_000;
/** etcd answers `no leader` at once, and ends its watches, instead of waiting for one. */
const needsLeader = { hasleader: 'true' };

export interface CallOptions {
  /** What is attempted, for the message. */
  what: string;
  /** True: doing it twice is the same as doing it once. */
  isRepeatable: boolean;
}

/** What is asked of a member with open streams; throws what ends them. */
export type Pulse = (ask: <T>(call: Call, body: object) => Promise<T>) => Promise<void>;

export interface EtcdClientOptions extends EtcdAccess {
  clock: Clock;
}

interface Member {
  url: string;
  connection: Connection;
  streams: Set<AbortController>;
}

export class EtcdClient {
  readonly #options: EtcdClientOptions;
  readonly #timeoutMs: number;
  #members: Member[] = [];
  #pulse: Pulse | undefined;
  #beat: Timer | undefined;
  #isClosed = false;

  constructor(options: EtcdClientOptions) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    this.setEndpoints(options.endpoints);
  }

  /** The members as they are preferred now. */
  get endpoints(): string[] {
    return this.#members.map(({ url }) => url);
  }

  get streams(): number {
    return this.#members.reduce((sum, { streams }) => sum + streams.size, 0);
  }

  /** After members came or went. Streams of one that is no longer named end. */
  setEndpoints(urls: string[]): void {
    if (urls.length === 0) throw storeErrors.invalid('an etcd store needs an endpoint');
    const before = this.#members;
    this.#members = urls.map(
      (url) => before.find((member) => member.url === url) ?? this.#open(url),
    );
    for (const member of before)
      if (!this.#members.includes(member))
        release(member, coreErrors.unreachable(`${member.url} is no longer a member`));
  }

  /** Asked of each member that has streams, every few seconds. */
  setPulse(pulse: Pulse): void {
    this.#pulse = pulse;
  }

  /** The answer of the first member that gives one. */
  call<T>(call: Call, body: object, options: CallOptions): Promise<T> {
    return this.#withMembers(options, (member, timeoutMs) =>
      ask<T>(member, call, body, { timeoutMs, headers: needsLeader }),
    );
  }

  /** Several requests of one stream, answered one by one. */
  callAll<T>(call: Call, bodies: object[], options: CallOptions): Promise<T[]> {
    const messages = bodies.map((body) => encodeMessage(call.request, body));
    return this.#withMembers(options, async ({ connection }, timeoutMs) => {
      const limits = { timeoutMs, headers: needsLeader };
      const answers = await connection.call(call.path, messages, limits);
      return answers.map((answer) => decodeMessage<T>(call.answer, answer));
    });
  }

  /** One member's answer, whether or not it has a leader: for what is done member by member. */
  async callMember<T>(url: string, call: Call, body: object, timeoutMs?: number): Promise<T> {
    const known = this.#members.find((each) => each.url === url);
    const member = known ?? this.#open(url);
    try {
      return await ask<T>(member, call, body, { timeoutMs: timeoutMs ?? this.#timeoutMs });
    } catch (thrown) {
      throw judgeError(thrown, `${call.path}: the etcd member ${url}`).error;
    } finally {
      if (!known) member.connection.close();
    }
  }

  /** Results of a stream of the preferred member, until the signal fires, quietly, or something breaks. */
  async *stream<T>(call: Call, body: object, options: { what: string; signal: AbortSignal }) {
    const member = this.#preferred();
    const ending = new AbortController();
    const signal = AbortSignal.any([options.signal, ending.signal]);
    member.streams.add(ending);
    this.#startPulse();
    try {
      yield* follow<T>(member, call, { body, signal, headers: needsLeader });
      throw coreErrors.unreachable(`${options.what}: ${member.url} ended the stream`);
    } catch (error) {
      if (options.signal.aborted) return;
      if (ending.signal.aborted) throw ending.signal.reason;
      const judged = judgeError(error, `${options.what}: the etcd member ${member.url}`);
      if (judged.isElsewhere) this.#leave(member);
      throw judged.error;
    } finally {
      member.streams.delete(ending);
    }
  }

  /** One member's stream, to its end. */
  async *memberStream<T>(url: string, call: Call): AsyncGenerator<T> {
    const member = this.#open(url);
    try {
      yield* follow<T>(member, call, { body: {} });
    } catch (thrown) {
      throw judgeError(thrown, `${call.path}: the etcd member ${url}`).error;
    } finally {
      member.connection.close();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#beat?.cancel();
    for (const member of this.#members)
      release(member, coreErrors.aborted('the store has been closed'));
  }

  async #withMembers<T>(
    { what, isRepeatable }: CallOptions,
    attempt: (member: Member, timeoutMs: number) => Promise<T>,
  ): Promise<T> {
    const { clock } = this.#options;
    const end = clock.monotonicMs() + this.#timeoutMs;
    const members = [...this.#members];
    let last: AppError | undefined;
    for (const [index, member] of members.entries()) {
      const leftMs = Math.ceil(end - clock.monotonicMs());
      if (leftMs <= 0 || this.#isClosed) break;
      // A member that does not answer leaves the others their share of the time.
      const shareMs = isRepeatable ? Math.ceil(leftMs / (members.length - index)) : leftMs;
      try {
        return await attempt(member, shareMs);
      } catch (thrown) {
        const judged = judgeError(thrown, `${what}: the etcd member ${member.url}`);
        last = judged.error;
        if (!judged.isElsewhere) break;
        this.#leave(member);
        if (!judged.isUndone && !isRepeatable) break;
      }
    }
    throw last ?? storeErrors.unavailable(`${what}: the store has been closed`);
  }

  #preferred(): Member {
    return this.#members[0] as Member;
  }

  /** The member that failed becomes the last choice. */
  #leave(member: Member): void {
    if (this.#preferred() !== member || this.#isClosed) return;
    this.#members = [...this.#members.slice(1), member];
  }

  #open(url: string): Member {
    const { credentials } = this.#options;
    const connection = new Connection({ url, ...(credentials ? { credentials } : {}) });
    return { url, connection, streams: new Set() };
  }

  #startPulse(): void {
    if (this.#beat || this.#isClosed) return;
    this.#beat = this.#options.clock.timer(pulseMs, () => void this.#beatOnce());
  }

  async #beatOnce(): Promise<void> {
    const watched = this.#members.filter(({ streams }) => streams.size > 0);
    await Promise.all(watched.map((member) => this.#feel(member)));
    this.#beat = undefined;
    if (this.streams > 0) this.#startPulse();
  }

  /** A connection to a member that is frozen, cut off or gone stays open and silent: this is what ends it. */
  async #feel(member: Member): Promise<void> {
    const { url } = member;
    const limits = { timeoutMs: pulseMs, headers: needsLeader };
    try {
      await this.#pulse?.((call, body) => ask(member, call, body, limits));
    } catch (thrown) {
      const { error, isElsewhere } = judgeError(thrown, `watch: the etcd member ${url}`);
      if (isElsewhere) this.#leave(member);
      endStreams(member, error);
    }
  }
}

function endStreams({ streams }: Member, error: Error): void {
  for (const stream of streams) stream.abort(error);
}

function release(member: Member, error: Error): void {
  endStreams(member, error);
  member.connection.close();
}

async function ask<T>(
  { connection }: Member,
  { path, request, answer }: Call,
  body: object,
  limits: { timeoutMs: number; headers?: Record<string, string> },
): Promise<T> {
  const [message] = await connection.call(path, [encodeMessage(request, body)], limits);
  if (!message) throw coreErrors.unreachable(`${path}: the answer was empty`);
  return decodeMessage<T>(answer, message);
}

async function* follow<T>(
  { connection }: Member,
  { path, request, answer }: Call,
  { body, ...options }: { body: object; signal?: AbortSignal; headers?: Record<string, string> },
): AsyncGenerator<T> {
  const messages = [encodeMessage(request, body)];
  for await (const message of connection.exchange(path, messages, options))
    yield decodeMessage<T>(answer, message);
}
