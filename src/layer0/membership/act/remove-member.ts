// Takes a machine out of the cluster, with all that is said about it, in one commit.

import { consumerPrefix } from '#layer0/discovery/wire';
import { aboutHost, type Host, hostKey } from '#layer0/host/wire';
import { listAll, type Store } from '#layer0/store/client';
import { membershipErrors } from '../errors.ts';
import { type Member, memberKey, type Removed, removedKey } from '../wire.ts';

/** Returns its name. From here on it is no host, nobody speaks with it, and its jobs are given up. */
export async function removeMember(store: Store, hostId: string, at: number): Promise<string> {
  const [member, host] = await Promise.all([
    store.get<Member>(memberKey(hostId)),
    store.get<Host>(hostKey(hostId)),
  ]);
  const name = host?.value.name ?? member?.value.name;
  if (name === undefined)
    throw membershipErrors.notMember(
      `${hostId} is not removed: no member of this cluster has that id`,
    );
  const removed: Removed = { name, at };
  // A router of a machine that is no more would have every drain wait for it.
  const consumers = (await listAll(store, consumerPrefix)).map(({ key }) => key);
  const waited = consumers.filter((key) => key.endsWith(`/${hostId}`));
  const keys = [memberKey(hostId), hostKey(hostId), ...aboutHost(hostId), ...waited];
  await store.txn({
    compare: [],
    operations: [
      ...keys.map((key) => ({ delete: key })),
      { put: removedKey(hostId), value: removed },
    ],
  });
  return name;
}
