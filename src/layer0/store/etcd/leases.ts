// Leases of the store are etcd's, by number; one that came with a store that moved here keeps its name. One that was granted
// here belongs to that life of the store: etcd itself does not know that the keys of an earlier one are of no use any more.

import { hasCode } from '#core/errors';
import { storeErrors } from '../errors.ts';
import { maxLeases } from '../local-store.ts';
import type { Lease } from '../wire.ts';
import { calls } from './calls.ts';
import { leaseNumber } from './decide/keys.ts';
import type { EtcdClient } from './etcd-client.ts';
import { KeepAlives } from './keep-alives.ts';

export class EtcdLeases {
  readonly #client: EtcdClient;
  readonly #keepAlives: KeepAlives;
  /** Incarnations, by lease; of those that another process or an earlier life of this one was granted there is none. */
  readonly #grantedIn = new Map<string, string>();

  constructor(client: EtcdClient) {
    this.#client = client;
    this.#keepAlives = new KeepAlives(client);
  }

  async grant(ttlMs: number, incarnation: string): Promise<Lease> {
    const answer = await this.#client.call<{ ID: string; TTL: string }>(
      calls.grantLease,
      { TTL: String(Math.ceil(ttlMs / 1000)) },
      { what: 'grant a lease', isRepeatable: false },
    );
    const [oldest] = this.#grantedIn.keys();
    if (this.#grantedIn.size >= maxLeases && oldest !== undefined) this.#grantedIn.delete(oldest);
    this.#grantedIn.set(answer.ID, incarnation);
    return { id: answer.ID, ttlMs: 1000 * Number(answer.TTL) };
  }

  async keep(id: string, incarnation: string): Promise<void> {
    checkLease(id, 'keep it');
    const grantedIn = this.#grantedIn.get(id);
    try {
      if (grantedIn !== undefined && grantedIn !== incarnation)
        throw storeErrors.leaseNotFound(`keep lease ${id}: it is of another life of the store`);
      await this.#keepAlives.keep(leaseNumber(id));
    } catch (error) {
      if (hasCode(error, 'store.leaseNotFound')) this.#grantedIn.delete(id);
      throw error;
    }
  }

  async revoke(id: string): Promise<void> {
    checkLease(id, 'revoke it');
    this.#grantedIn.delete(id);
    const options = { what: `revoke lease ${id}`, isRepeatable: false };
    await this.#client.call(calls.revokeLease, { ID: leaseNumber(id) }, options);
  }
}

/** store.leaseNotFound for what no lease of ours was ever called. */
export function checkLease(id: string, attempted: string): void {
  if (!/^(\d{1,19}|lease-\w{1,64})$/.test(id))
    throw storeErrors.leaseNotFound(`${attempted}: the lease ${id} is none of this store's`);
}
