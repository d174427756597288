// Bytes of etcd's protobuf messages, by tables of fields: objects in, bytes out, and back. 64-bit numbers are decimal
// strings; a field that is absent is undefined; what no table names is skipped.

/** `[enum names in order]` or a table of fields for a message. */
export type Kind = 'bytes' | 'string' | 'int64' | 'bool' | readonly string[] | Fields;
export type Fields = { readonly [name: string]: Field };
export interface Field {
  number: number;
  kind: Kind;
  isRepeated?: true;
}

type Message = Record<string, unknown>;

const varint = 0;
const fixed64 = 1;
const delimited = 2;
const fixed32 = 5;
const maxUint32 = 0x1_0000_0000;

export function encodeMessage(fields: Fields, message: object): Buffer {
  const parts: Buffer[] = [];
  for (const [name, field] of Object.entries(fields)) {
    const value = (message as Message)[name];
    if (value === undefined) continue;
    for (const each of field.isRepeated ? (value as unknown[]) : [value])
      encodeField(field, each, parts);
  }
  return Buffer.concat(parts);
}

function encodeField({ number, kind }: Field, value: unknown, parts: Buffer[]): void {
  const payload = payloadOf(kind, value);
  const wireType = Buffer.isBuffer(payload) ? delimited : varint;
  parts.push(varintOf((number << 3) | wireType));
  if (!Buffer.isBuffer(payload)) return void parts.push(varintOf(payload));
  parts.push(varintOf(payload.length), payload);
}

function payloadOf(kind: Kind, value: unknown): Buffer | number | bigint {
  if (kind === 'bytes') return value as Buffer;
  if (kind === 'string') return Buffer.from(value as string);
  if (kind === 'bool') return value ? 1 : 0;
  if (kind === 'int64') return integerOf(value as string);
  if (isEnum(kind)) return kind.indexOf(value as string);
  return encodeMessage(kind, value as object);
}

const isEnum = (kind: Kind): kind is readonly string[] => Array.isArray(kind);

function integerOf(text: string): number | bigint {
  const number = Number(text);
  return Number.isSafeInteger(number) && number >= 0 ? number : BigInt.asUintN(64, BigInt(text));
}

function varintOf(value: number | bigint): Buffer {
  const bytes: number[] = [];
  if (typeof value === 'bigint') {
    for (; value > 127n; value >>= 7n) bytes.push(Number(value & 127n) | 128);
    bytes.push(Number(value));
  } else {
    for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
    bytes.push(value);
  }
  return Buffer.from(bytes);
}

export function decodeMessage<T>(fields: Fields, bytes: Buffer): T {
  const byNumber = numbered(fields);
  const message: Message = {};
  const reader = new Reader(bytes);
  while (!reader.isAtEnd) {
    const tag = Number(reader.varint());
    const known = byNumber.get(tag >>> 3);
    const raw = reader.value(tag & 7);
    if (!known) continue;
    const [name, { kind, isRepeated }] = known;
    const value = parsed(kind, raw);
    const held = message[name];
    if (!isRepeated) message[name] = value;
    else if (Array.isArray(held)) held.push(value);
    else message[name] = [value];
  }
  return message as T;
}

function parsed(kind: Kind, raw: Buffer | number | bigint): unknown {
  if (kind === 'int64') return String(raw);
  if (kind === 'bool') return Number(raw) !== 0;
  if (isEnum(kind)) return kind[Number(raw)];
  const bytes = raw as Buffer;
  if (kind === 'bytes') return bytes;
  return kind === 'string' ? bytes.toString() : decodeMessage(kind, bytes);
}

const tables = new WeakMap<Fields, Map<number, [string, Field]>>();

function numbered(fields: Fields): Map<number, [string, Field]> {
  let table = tables.get(fields);
  if (!table) {
    table = new Map(Object.entries(fields).map(([name, field]) => [field.number, [name, field]]));
    tables.set(fields, table);
  }
  return table;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  value(wireType: number): Buffer | number | bigint {
    if (wireType === varint) return this.varint();
    if (wireType === delimited) return this.#take(Number(this.varint()));
    if (wireType === fixed64) return this.#take(8);
    if (wireType === fixed32) return this.#take(4);
    throw new RangeError(`protobuf: unknown wire type ${wireType}`);
  }

  varint(): number | bigint {
    let value = 0;
    for (let weight = 1; weight < maxUint32 * 2 ** 17; weight *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * weight;
      if (byte < 128) return value;
    }
    let large = BigInt(value);
    for (let shift = 49n; ; shift += 7n) {
      const byte = this.#byte();
      large |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, large);
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError('protobuf: the message ends in the middle');
    return byte;
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError('protobuf: the message ends in the middle');
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }
}
