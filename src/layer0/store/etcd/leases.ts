// Leases of the store are etcd's, by number; one that came with a store that moved here keeps its name.

import { storeErrors } from '../errors.ts';
import type { Lease } from '../wire.ts';
import { calls } from './calls.ts';
import { leaseNumber } from './decide/keys.ts';
import type { EtcdClient } from './etcd-client.ts';
import { KeepAlives } from './keep-alives.ts';

export class EtcdLeases {
  readonly #client: EtcdClient;
  readonly #keepAlives: KeepAlives;

  constructor(client: EtcdClient) {
    this.#client = client;
    this.#keepAlives = new KeepAlives(client);
  }

  async grant(ttlMs: number): Promise<Lease> {
    const answer = await this.#client.call<{ ID: string; TTL: string }>(
      calls.grantLease,
      { TTL: String(Math.ceil(ttlMs / 1000)) },
      { what: 'grant a lease', isRepeatable: false },
    );
    return { id: answer.ID, ttlMs: 1000 * Number(answer.TTL) };
  }

  async keep(id: string): Promise<void> {
    checkLease(id, 'keep it');
    await this.#keepAlives.keep(leaseNumber(id));
  }

  async revoke(id: string): Promise<void> {
    checkLease(id, 'revoke it');
    const options = { what: `revoke lease ${id}`, isRepeatable: false };
    await this.#client.call(calls.revokeLease, { ID: leaseNumber(id) }, options);
  }
}

/** store.leaseNotFound for what no lease of ours was ever called. */
export function checkLease(id: string, attempted: string): void {
  if (!/^(\d{1,19}|lease-\w{1,64})$/.test(id))
    throw storeErrors.leaseNotFound(`${attempted}: the lease ${id} is none of this store's`);
}
