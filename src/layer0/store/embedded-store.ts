// What a store that lives in this process can do beside being a store.

import type { Store } from './client.ts';
import type { LeaseRecord } from './ledger.ts';

export interface StoreStatus {
  incarnation: string;
  revision: number;
  compactedTo: number;
  historyBytes: number;
  watchers: number;
  leases: number;
  queued: number;
  /** False: the disk is full, only deletes are taken. */
  hasRoom: boolean;
}

/** A store that lives in this process, and can say how it is. */
export interface EmbeddedStore extends Store {
  readonly incarnation: string;
  status(): StoreStatus;
  /** Forgets all history now: older revisions are store.compacted. */
  compact(): Promise<void>;
  /** From now on nothing is committed, and writes wait: reads and keep-alives go on. Closed meanwhile, they are store.unavailable. */
  hold(): Hold;
}

/** A store that does not change. */
export interface Hold {
  /** Also those that have ended while it is held. */
  leases: LeaseRecord[];
  /** The last commit. */
  revision: number;
  /** What waits is committed. */
  release(): void;
}
