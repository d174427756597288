// Before this machine's daemon is replaced: what the cluster knows of the machine stays for longer than a lease, since on a busy
// machine the new daemon may take longer to come up than a lease lasts, and nothing of what runs here ends meanwhile.

import { type Instance, instancePrefix } from '#layer0/discovery/wire';
import { hostAliveKey } from '#layer0/host/wire';
import { listAll, type Store } from '#layer0/store/client';
import { maxTxnOperations } from '#layer0/store/wire';

/** The new daemon puts its own leases under all of it as soon as it is there. */
const heldMs = 60_000;

/** Whatever changes at that moment is left under the lease that it has. */
export async function holdPlace(store: Store, hostId: string): Promise<void> {
  const [instances, alive] = await Promise.all([
    listAll<Instance>(store, instancePrefix),
    store.get(hostAliveKey(hostId)),
  ]);
  const held = instances.filter(({ value }) => value.host === hostId);
  const entries = alive ? [...held, alive] : held;
  if (entries.length === 0) return;
  const { id: lease } = await store.grantLease(heldMs);
  const each = maxTxnOperations / 2;
  for (let start = 0; start < entries.length; start += each) {
    const some = entries.slice(start, start + each);
    await store.txn({
      compare: some.map(({ key, modRevision }) => ({ key, modRevision })),
      operations: some.map(({ key, value }) => ({ put: key, value, lease })),
    });
  }
}
