// Where do our keys live in etcd? Under one prefix, so that a cluster can be shared and the store's own record stays apart.

import type { Entry } from '../../wire.ts';
import { decode, encode, type KeyValue, type RangeRequest } from '../messages.ts';

export const defaultPrefix = 'gantry/';

export interface KeySpace {
  /** Entries are below it. */
  data: string;
  /** The record of the store's life (`Life`). */
  life: string;
}

export function keySpace(prefix: string): KeySpace {
  return { data: `${prefix}data/`, life: `${prefix}life` };
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
    range_end: encode(`${space.data}${prefix}\u{7f}`),
    ...(limit === undefined ? {} : { limit: String(limit) }),
    ...(revision === undefined ? {} : { revision: String(revision) }),
  };
}

export function entryOf<T>(space: KeySpace, kv: KeyValue): Entry<T> {
  const entry: Entry<T> = {
    key: decode(kv.key).slice(space.data.length),
    value: JSON.parse(decode(kv.value)) as T,
    createRevision: Number(kv.create_revision),
    modRevision: Number(kv.mod_revision),
  };
  if (kv.lease !== undefined && kv.lease !== '0') entry.lease = kv.lease;
  return entry;
}
