// The door of ha: where the store is, how its copies are, and the way from one machine to three.

import { createHttpClient } from '#core/http-client';
import type { Candidate, HaStatus, MemberPlan, Place } from './wire.ts';

export type { HaStatus, MemberStatus, MoveStatus } from './wire.ts';

export interface HaClient {
  /** How the store is, as far as this machine can see. */
  status(): Promise<HaStatus>;
  /** Begins the move to etcd, on these machines (ids or names) or on three that fit; `status` says how it goes. */
  move(hosts?: readonly string[]): Promise<void>;
  /** Where the store is, once it is on etcd. */
  place(): Promise<Place | undefined>;
  /** The store is there: use it from now on. */
  adopt(place: Place): Promise<void>;
  candidate(): Promise<Candidate>;
  /** Runs a member of etcd on this machine. ha.inCharge for a new etcd when the store is in another already. */
  runMember(plan: MemberPlan): Promise<void>;
  /** Ends this machine's member of the etcd of that token, and removes its data. */
  endMember(token: string): Promise<void>;
}

/** What another process of this machine asks, over the layer-0 API. */
export interface RemoteHa extends Pick<HaClient, 'status' | 'move'> {
  close(): void;
}

export function createHaClient({ baseUrl }: { baseUrl: string }): RemoteHa {
  const http = createHttpClient({ baseUrl });
  return {
    status: () => http.json('GET', '/ha/status'),
    move: (hosts) => http.json('POST', '/ha/move', { body: hosts ? { hosts } : {} }),
    close: () => http.close(),
  };
}
