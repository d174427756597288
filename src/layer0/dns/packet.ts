// The shape of a DNS message: a question taken apart, an answer put together. Nothing here trusts a byte of the sender.

export const types = { A: 1, SOA: 6, SRV: 33, AAAA: 28, OPT: 41, ANY: 255 } as const;
export const rcodes = { ok: 0, format: 1, failure: 2, noName: 3, notImplemented: 4 } as const;

/** Bytes of an answer over UDP to a client that says nothing, and the most we send to any. */
export const plainUdpBytes = 512;
export const maxUdpBytes = 1232;

const headerBytes = 12;
const flagResponse = 0x8000;
const flagTruncated = 0x0200;
const flagRecursionAvailable = 0x0080;

export interface Query {
  message: Buffer;
  /** The name in wire form, lower case, one character a byte: exact, also for names with odd bytes. */
  name: string;
  type: number;
  /** Class IN or ANY: the only ones with an answer here. */
  isInternet: boolean;
  /** Where the question ends. */
  end: number;
  /** What the client can take over UDP, bytes; 0 when it does not speak EDNS. */
  ednsBytes: number;
  wantsDnssec: boolean;
}

export interface Answer {
  rcode: number;
  isAuthoritative: boolean;
  answers: Buffer;
  answerCount: number;
  authority: Buffer;
  authorityCount: number;
}

export const noBytes = Buffer.alloc(0);

/** A query, or the rcode to refuse it with, or undefined for what deserves no answer. */
export function parseQuery(message: Buffer): Query | number | undefined {
  if (message.length < headerBytes) return undefined;
  const flags = message.readUInt16BE(2);
  if (flags & flagResponse) return undefined;
  if (flags & 0x7800) return rcodes.notImplemented;
  if (message.readUInt16BE(4) !== 1 || message.readUInt16BE(6) !== 0) return rcodes.format;
  const nameEnd = skipLabels(message, headerBytes);
  if (nameEnd < 0 || nameEnd + 4 > message.length) return rcodes.format;
  const end = nameEnd + 4;
  const recordClass = message.readUInt16BE(nameEnd + 2);
  const query: Query = {
    message,
    name: message.toString('latin1', headerBytes, nameEnd).toLowerCase(),
    type: message.readUInt16BE(nameEnd),
    isInternet: recordClass === 1 || recordClass === 255,
    end,
    ednsBytes: 0,
    wantsDnssec: false,
  };
  if (message.readUInt16BE(10) > 0) readEdns(query);
  return query;
}

/** After an uncompressed name, or -1 when it runs out of the message or over 255 bytes. */
function skipLabels(message: Buffer, start: number): number {
  let at = start;
  for (let length = message[at] ?? 64; length !== 0; length = message[at] ?? 64) {
    if (length > 63) return -1;
    at += length + 1;
    if (at - start > 254) return -1;
  }
  return at + 1;
}

/** Stub resolvers put the OPT record first and alone; any other additional record is passed over. */
function readEdns(query: Query): void {
  const { message, end } = query;
  if (message.length < end + 11 || message[end] !== 0) return;
  if (message.readUInt16BE(end + 1) !== types.OPT) return;
  query.ednsBytes = Math.max(plainUdpBytes, message.readUInt16BE(end + 3));
  query.wantsDnssec = (message.readUInt16BE(end + 7) & 0x8000) !== 0;
}

/** The most bytes this client takes in one UDP datagram. */
export function udpLimit(query: Query): number {
  return query.ednsBytes === 0 ? plainUdpBytes : Math.min(query.ednsBytes, maxUdpBytes);
}

/** The whole message; what does not fit `limit` is left out and the client told to come back over TCP. */
export function encodeAnswer(query: Query, answer: Answer, limit: number): Buffer {
  const ednsLength = query.ednsBytes > 0 ? 11 : 0;
  let { answers, answerCount, authority, authorityCount } = answer;
  const fixed = query.end + ednsLength;
  let isTruncated = false;
  if (fixed + answers.length + authority.length > limit) {
    isTruncated = answers.length > 0 && fixed + answers.length > limit;
    authority = noBytes;
    authorityCount = 0;
    if (isTruncated) [answers, answerCount] = cut(answers, limit - fixed);
  }
  const out = Buffer.allocUnsafe(fixed + answers.length + authority.length);
  place(out, 0, query.message, query.end);
  const kept = query.message.readUInt16BE(2) & 0x0100;
  const flags =
    flagResponse | kept | (answer.isAuthoritative ? 0x0400 : 0) | flagRecursionAvailable;
  out.writeUInt16BE(flags | (isTruncated ? flagTruncated : 0) | answer.rcode, 2);
  out.writeUInt32BE((1 << 16) | answerCount, 4);
  out.writeUInt32BE((authorityCount << 16) | (ednsLength ? 1 : 0), 8);
  place(out, query.end, answers, answers.length);
  place(out, query.end + answers.length, authority, authority.length);
  if (ednsLength) writeEdns(out, out.length - ednsLength);
  return out;
}

/** Byte by byte: for the sizes of a DNS message that is half the cost of `Buffer.copy`. */
function place(out: Buffer, start: number, source: Buffer, length: number): void {
  for (let at = 0; at < length; at++) out[start + at] = source[at] as number;
}

/** As many whole records as fit. */
function cut(records: Buffer, room: number): [Buffer, number] {
  let at = 0;
  let count = 0;
  while (at < records.length) {
    const next = recordEnd(records, at);
    if (next > room) break;
    at = next;
    count++;
  }
  return [records.subarray(0, at), count];
}

/** Of a record that we encoded: its name is a pointer or plain labels. */
function recordEnd(records: Buffer, start: number): number {
  const nameEnd = (records[start] ?? 0) >= 0xc0 ? start + 2 : skipLabels(records, start);
  return nameEnd + 10 + records.readUInt16BE(nameEnd + 8);
}

function writeEdns(out: Buffer, at: number): void {
  out.writeUInt8(0, at);
  out.writeUInt16BE(types.OPT, at + 1);
  out.writeUInt16BE(maxUdpBytes, at + 3);
  out.writeUInt32BE(0, at + 5);
  out.writeUInt16BE(0, at + 9);
}

/** An answer without records to anything that has at least a header. */
export function encodeRefusal(message: Buffer, rcode: number): Buffer {
  const out = Buffer.alloc(headerBytes);
  message.copy(out, 0, 0, 2);
  const kept = message.readUInt16BE(2) & 0x7900;
  out.writeUInt16BE(flagResponse | kept | flagRecursionAvailable | rcode, 2);
  return out;
}

/** `web.shop` in wire form, one character a byte; undefined when it is no valid name. */
export function toWireName(name: string): string | undefined {
  let wire = '';
  for (const label of name.toLowerCase().split('.')) {
    if (!/^[a-z0-9_-]{1,63}$/.test(label)) return undefined;
    wire += String.fromCharCode(label.length) + label;
  }
  return wire.length > 253 ? undefined : `${wire}\0`;
}

interface RecordFields {
  /** Wire form, or undefined for a pointer to the question's name. */
  name?: string;
  type: number;
  ttl: number;
  data: Buffer;
}

export function encodeRecord({ name, type, ttl, data }: RecordFields): Buffer {
  const head = name === undefined ? Buffer.from([0xc0, headerBytes]) : Buffer.from(name, 'latin1');
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(ttl, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([head, fixed, data]);
}

export const addressRecordBytes = 16;

/**
 * A records of the question's name, one for each address, in order. One buffer and no other garbage: while an app is
 * deployed, all names that are asked for are encoded again many times a second.
 */
export function encodeAddresses(addresses: readonly string[], ttl: number): Buffer {
  const out = Buffer.allocUnsafe(addresses.length * addressRecordBytes);
  let at = 0;
  for (const address of addresses) {
    at = out.writeUInt32BE((0xc000 | headerBytes) * 0x10000 + types.A, at);
    at = out.writeUInt16BE(1, at);
    at = out.writeUInt32BE(ttl, at);
    at = out.writeUInt16BE(4, at);
    at = out.writeUInt32BE(addressNumber(address), at);
  }
  return out;
}

/** `10.64.1.2` as a number of 32 bits; NaN for what is no IPv4 address. */
export function addressNumber(address: string): number {
  let value = 0;
  let part = 0;
  let dots = 0;
  let digits = 0;
  for (let at = 0; at < address.length; at++) {
    const code = address.charCodeAt(at);
    if (code === 46 && digits > 0) {
      value = value * 256 + part;
      part = 0;
      digits = 0;
      dots++;
    } else if (code >= 48 && code <= 57 && digits < 3) {
      part = part * 10 + code - 48;
      digits++;
    } else return Number.NaN;
    if (part > 255) return Number.NaN;
  }
  return dots === 3 && digits > 0 ? value * 256 + part : Number.NaN;
}

export function serviceData(port: number, target: string): Buffer {
  const data = Buffer.alloc(6);
  data.writeUInt16BE(1, 2);
  data.writeUInt16BE(port, 4);
  return Buffer.concat([data, Buffer.from(target, 'latin1')]);
}
