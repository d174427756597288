// A lease that has ended by itself is an answer here, not an error.

import { hasCode } from '#core/errors';
import type { Store } from '#layer0/store/client';

/** False when the lease has ended: what it held is gone. */
export async function keepLease(store: Store, id: string): Promise<boolean> {
  return unlessEnded(store.keepAlive(id));
}

export async function endLease(store: Store, id: string): Promise<void> {
  await unlessEnded(store.revokeLease(id));
}

async function unlessEnded(call: Promise<void>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (hasCode(error, 'store.leaseNotFound')) return false;
    throw error;
  }
}
