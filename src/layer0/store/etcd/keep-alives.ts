// Keep-alives of one moment share one request: etcd takes many in one stream and answers each with a line.

import { coreErrors } from '#core/errors';
import { storeErrors } from '../errors.ts';
import { calls } from './calls.ts';
import type { EtcdClient } from './etcd-client.ts';
import type { KeepAliveAnswer } from './messages.ts';

/** Most leases in one request. */
const maxBatch = 100;

export class KeepAlives {
  readonly #client: EtcdClient;
  #waiting = new Map<string, PromiseWithResolvers<void>>();

  constructor(client: EtcdClient) {
    this.#client = client;
  }

  /** store.leaseNotFound when it has ended. */
  keep(id: string): Promise<void> {
    const asked = this.#waiting.get(id);
    if (asked) return asked.promise;
    const waiter = Promise.withResolvers<void>();
    if (this.#waiting.size === 0) setImmediate(() => this.#send());
    this.#waiting.set(id, waiter);
    return waiter.promise;
  }

  #send(): void {
    const waiting = [...this.#waiting];
    this.#waiting = new Map();
    for (let start = 0; start < waiting.length; start += maxBatch)
      void this.#sendBatch(new Map(waiting.slice(start, start + maxBatch)));
  }

  async #sendBatch(batch: Map<string, PromiseWithResolvers<void>>): Promise<void> {
    try {
      const ids = [...batch.keys()].map((ID) => ({ ID }));
      const options = { what: `keep ${ids.length} leases`, isRepeatable: true };
      const answers = await this.#client.callAll<KeepAliveAnswer>(calls.keepAlive, ids, options);
      for (const { ID, TTL } of answers) {
        if (Number(TTL ?? 0) > 0) batch.get(ID)?.resolve();
        else
          batch
            .get(ID)
            ?.reject(storeErrors.leaseNotFound(`keep lease ${ID}: it has ended, grant a new one`));
        batch.delete(ID);
      }
      for (const [id, { reject }] of batch)
        reject(coreErrors.unreachable(`keep lease ${id}: etcd did not answer for it`));
    } catch (error) {
      for (const { reject } of batch.values()) reject(error);
    }
  }
}
