// Which subnet and which address are given next. Pure: what is taken comes in, what is free comes out.

import {
  contains,
  formatCidr,
  formatIp,
  overlaps,
  parseCidr,
  parseIp,
  type Range,
  sizeOf,
} from './cidr.ts';

export interface SubnetQuestion {
  pool: Range;
  prefixLength: number;
  /** Given subnets and routes of the machine. */
  taken: readonly Range[];
  /** CIDR given last: the search begins after it, so that a freed subnet rests. */
  last?: string;
}

/** The next free subnet of the pool, round and round; undefined when there is none. */
export function nextSubnet({
  pool,
  prefixLength,
  taken,
  last,
}: SubnetQuestion): string | undefined {
  const size = 2 ** (32 - prefixLength);
  const count = Math.floor(sizeOf(pool) / size);
  const lastBase = last === undefined ? undefined : parseCidr(last).base;
  const first =
    lastBase !== undefined && contains(pool, lastBase)
      ? Math.floor((lastBase - pool.base) / size) + 1
      : 0;
  for (let step = 0; step < count; step++) {
    const range = { base: pool.base + ((first + step) % count) * size, prefixLength };
    if (!taken.some((other) => overlaps(range, other))) return formatCidr(range);
  }
  return undefined;
}

/** A network may have a sixteenth of the pool and no more, unless the operator's own size is larger. */
const poolShareBits = 4;

/** The prefix length that holds so many addresses; never a smaller subnet than the operator's. */
export function prefixFor(addresses: number, pool: Range, prefixLength: number): number {
  const needed = 32 - Math.ceil(Math.log2(addresses + reservedAddresses));
  return Math.min(prefixLength, Math.max(needed, pool.prefixLength + poolShareBits));
}

/** The network's own, the gateway of the first machine, broadcast. */
const reservedAddresses = 3;

export const maxVni = 2 ** 24 - 1;

/** The next free VNI after the last one given. */
export function nextVni(taken: ReadonlySet<number>, last: number): number {
  let vni = last;
  do vni = vni >= maxVni ? 1 : vni + 1;
  while (taken.has(vni));
  return vni;
}

export interface KnownAddress {
  ip: string;
  freedAt?: number;
}

/**
 * The next address of a subnet: one never given before, else the one that is free the longest; undefined when all are held.
 * Never the network's own address, the gateway or the broadcast address.
 */
export function nextAddress(subnet: string, known: readonly KnownAddress[]): string | undefined {
  const range = parseCidr(subnet);
  const seen = new Set(known.map(({ ip }) => parseIp(ip)));
  const end = range.base + sizeOf(range) - 1;
  for (let ip = range.base + 2; ip < end; ip++) if (!seen.has(ip)) return formatIp(ip);
  let best: KnownAddress | undefined;
  for (const address of known)
    if (address.freedAt !== undefined && address.freedAt < (best?.freedAt ?? Infinity))
      best = address;
  return best?.ip;
}
