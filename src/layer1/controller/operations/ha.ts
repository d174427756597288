// The store of the cluster: how it is, and its way from one machine to three.

import type { HaStatus } from '#layer0/ha/wire';
import type { Context } from '../context.ts';
import { eventOperation } from '../events.ts';

export function readStore({ ha }: Context): Promise<HaStatus> {
  return ha.status();
}

/** Begins the move to etcd; what it answers says how far it is. */
export async function moveStore(context: Context, hosts?: readonly string[]): Promise<HaStatus> {
  const { ha, store } = context;
  await ha.move(hosts);
  const message = 'the store is being moved to etcd on three machines';
  const event = { type: 'cluster.ha', object: 'cluster', message };
  // Held with all other writes while entries are copied: nobody waits for it.
  store
    .txn({ compare: [], operations: [eventOperation(event, context)] })
    .catch((error: unknown) =>
      context.log.info({ err: error }, 'the move of the store was not written down as an event'),
    );
  return ha.status();
}
