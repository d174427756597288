// Where do our keys live in etcd? Under one prefix, so that a cluster can be shared and the store's own record stays apart.

import { createHash } from 'node:crypto';
import type { Entry } from '../../wire.ts';
import { decode, encode, type KeyValue, type RangeRequest } from '../messages.ts';

export const defaultPrefix = 'gantry/';

export interface KeySpace {
  prefix: string;
  /** Entries are below it. */
  data: string;
  /** The record of the store's life (`Life`). */
  life: string;
  /** The record of a move into this etcd, from its first copy until it is given up (`move/decision.ts`). */
  move: string;
  /** Our revisions are ahead of etcd's by so much: those of a store that moved here go on growing. */
  base: number;
}

export interface SpaceOf {
  base?: number;
  /** A state that took the place of another is below a name of its own. */
  generation?: string;
}

export function keySpace(prefix: string, { base = 0, generation }: SpaceOf = {}): KeySpace {
  const data =
    generation === undefined ? `${prefix}data/` : `${replacedPrefix(prefix)}${generation}/`;
  return { prefix, data, life: `${prefix}life`, move: `${prefix}move`, base };
}

/** States that took the place of others are below it. */
export const replacedPrefix = (prefix: string): string => `${prefix}state/`;

/** Keys are printable ASCII: this sorts after every key with the prefix. */
export const endOf = (prefix: string): Buffer => encode(`${prefix}\u{7f}`);

/** Our number for one of etcd's, and back; what is from before the store moved here matches nothing. */
export const revisionOf = ({ base }: KeySpace, number: string | undefined): number =>
  Number(number ?? 0) + base;
const never = '9223372036854775807';
export function numberOf({ base }: KeySpace, revision: number): string {
  // An absent key has the revision 0.
  if (revision === 0) return '0';
  return revision > base ? String(revision - base) : never;
}

/** etcd numbers its leases: one that moved here keeps its name, and has a number made of it. */
export function leaseNumber(id: string): string {
  if (/^\d{1,19}$/.test(id)) return id;
  const digest = createHash('sha256').update(id).digest();
  return String(BigInt.asUintN(63, digest.readBigUInt64BE()) || 1n);
}

export const encodeKey = (space: KeySpace, key: string): Buffer => encode(space.data + key);

export interface RangeWanted {
  prefix: string;
  after?: string;
  limit?: number;
  revision?: number;
}

/** Keys with the prefix that sort after `after`. Keys are printable ASCII, so 0x7f ends every prefix. */
export function rangeOf(space: KeySpace, wanted: RangeWanted): RangeRequest {
  const { prefix, after, limit, revision } = wanted;
  const start = after !== undefined && after >= prefix ? `${after}\0` : prefix;
  return {
    key: encode(space.data + start),
    range_end: endOf(space.data + prefix),
    ...(limit === undefined ? {} : { limit: String(limit) }),
    ...(revision === undefined ? {} : { revision: numberOf(space, revision) }),
  };
}

/** Key and value as they were written. */
export function decodeEntryText(space: KeySpace, kv: KeyValue): { key: string; text: string } {
  return { key: decode(kv.key).slice(space.data.length), text: decode(kv.value) };
}

export function entryOf<T>(space: KeySpace, kv: KeyValue): Entry<T> {
  const entry: Entry<T> = {
    key: decode(kv.key).slice(space.data.length),
    value: JSON.parse(decode(kv.value)) as T,
    createRevision: revisionOf(space, kv.create_revision),
    modRevision: revisionOf(space, kv.mod_revision),
  };
  if (kv.lease !== undefined && kv.lease !== '0') entry.lease = kv.lease;
  return entry;
}
