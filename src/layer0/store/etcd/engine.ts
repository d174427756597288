// What a store on etcd is opened with, and what it can do beside being a store.

import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import type { Store } from '../client.ts';
import type { EtcdAccess, EtcdClient } from './etcd-client.ts';

export interface EtcdStoreOptions extends EtcdAccess {
  clock: Clock;
  random: Random;
  log: Log;
  /** All keys of the store begin with it; `gantry/` unless said. */
  prefix?: string;
}

export interface EtcdStoreStatus {
  incarnation: string;
  /** The latest that an answer named. */
  revision: number;
  watchers: number;
  /** Of etcd, that the watchers share. */
  streams: number;
  /** Client URLs of the members, the one in use first. */
  endpoints: string[];
}

export interface EtcdStore extends Store {
  status(): EtcdStoreStatus;
  /** Calls to the cluster itself, for what keeps it in order (`members.ts`, `maintenance.ts`). */
  readonly client: EtcdClient;
  /** Forgets all history up to this revision; up to now unless said. */
  compact(revision?: number): Promise<void>;
}
