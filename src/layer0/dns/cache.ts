// Answers of the upstreams, kept as long as they say and never longer; bounded, the least recently used goes first.

import type { Clock } from '#core/clock';
import { rcodes, types } from './packet.ts';

export const maxCachedAnswers = 4096;
/** Answers longer than this are not kept: with the count above it bounds the cache to 16 MB. */
export const maxCachedBytes = 4096;
const maxTtlSeconds = 300;
const maxNegativeTtlSeconds = 60;

interface Kept {
  message: Buffer;
  /** Where each TTL field is. */
  ttlOffsets: number[];
  storedAt: number;
  expiresAt: number;
}

export class AnswerCache {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #kept = new Map<string, Kept>();

  constructor(clock: Clock, limit = maxCachedAnswers) {
    this.#clock = clock;
    this.#limit = limit;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** A copy with what is left of each TTL; the caller sets the id. */
  read(key: string): Buffer | undefined {
    const kept = this.#kept.get(key);
    if (!kept) return undefined;
    this.#kept.delete(key);
    const now = this.#clock.monotonicMs();
    if (now >= kept.expiresAt) return undefined;
    this.#kept.set(key, kept);
    const message = Buffer.from(kept.message);
    const age = Math.floor((now - kept.storedAt) / 1000);
    for (const at of kept.ttlOffsets)
      message.writeUInt32BE(Math.max(0, message.readUInt32BE(at) - age), at);
    return message;
  }

  write(key: string, message: Buffer): void {
    if (message.length > maxCachedBytes) return;
    const found = lifetime(message);
    if (!found || found.seconds <= 0) return;
    const storedAt = this.#clock.monotonicMs();
    const { ttlOffsets, seconds } = found;
    this.#kept.delete(key);
    this.#kept.set(key, {
      message: Buffer.from(message),
      ttlOffsets,
      storedAt,
      expiresAt: storedAt + seconds * 1000,
    });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#limit) break;
      this.#kept.delete(oldest);
    }
  }
}

interface Lifetime {
  seconds: number;
  ttlOffsets: number[];
}

/** How long an answer may be kept; undefined for one that must not be, or that is malformed. */
export function lifetime(message: Buffer): Lifetime | undefined {
  const flags = message.readUInt16BE(2);
  const rcode = flags & 15;
  if (flags & 0x0200 || (rcode !== rcodes.ok && rcode !== rcodes.noName)) return undefined;
  const answerCount = message.readUInt16BE(6);
  const records = readRecords(message);
  if (!records) return undefined;
  const ttlOffsets = records.map((record) => record.ttlAt);
  if (rcode === rcodes.ok && answerCount > 0)
    return { ttlOffsets, seconds: Math.min(maxTtlSeconds, ...records.map(({ ttl }) => ttl)) };
  const soa = records.find((record) => record.type === types.SOA);
  if (!soa) return undefined;
  const minimum = message.readUInt32BE(soa.end - 4);
  return { ttlOffsets, seconds: Math.min(maxNegativeTtlSeconds, soa.ttl, minimum) };
}

interface RecordPlace {
  type: number;
  ttl: number;
  ttlAt: number;
  end: number;
}

/** Every record but OPT; undefined when the message does not hold together. */
function readRecords(message: Buffer): RecordPlace[] | undefined {
  const count = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10);
  const nameEnd = skipName(message, 12);
  if (message.readUInt16BE(4) !== 1 || nameEnd < 0) return undefined;
  const records: RecordPlace[] = [];
  let at = nameEnd + 4;
  for (let index = 0; index < count; index++) {
    const head = skipName(message, at);
    if (head < 0 || head + 10 > message.length) return undefined;
    const end = head + 10 + message.readUInt16BE(head + 8);
    const type = message.readUInt16BE(head);
    if (end > message.length || (type === types.SOA && end - head < 30)) return undefined;
    if (type !== types.OPT)
      records.push({ type, ttl: message.readUInt32BE(head + 4), ttlAt: head + 4, end });
    at = end;
  }
  return records;
}

/** After a name, which may end in a pointer; -1 when it runs out of the message. */
function skipName(message: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const length = message[at];
    if (length === undefined) return -1;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2 <= message.length ? at + 2 : -1;
    if (length > 63) return -1;
    at += length + 1;
  }
}
