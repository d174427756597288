// Who belongs to the etcd cluster? A new member learns before it votes, so that one that never comes up costs no quorum.
// Every step may be done twice.

import { storeErrors } from '../errors.ts';
import { type Call, calls } from './calls.ts';
import type { EtcdClient } from './etcd-client.ts';

export interface ClusterMember {
  id: string;
  /** Empty until it has been started. */
  name: string;
  peerUrl: string;
  /** Undefined until it has been started. */
  clientUrl?: string;
  isLearner: boolean;
}

interface MemberRecord {
  ID: string;
  name?: string;
  peerURLs?: string[];
  clientURLs?: string[];
  isLearner?: boolean;
}

export async function listMembers(client: EtcdClient): Promise<ClusterMember[]> {
  const what = 'list the members of etcd';
  const answer = await client.call<{ members: MemberRecord[] }>(
    calls.listMembers,
    // As all have agreed, not as this one has heard: a machine that reads that it is no member removes its data.
    { linearizable: true },
    { what, isRepeatable: true },
  );
  return answer.members.map(memberOf);
}

/** Asks one member what only one with a leader, and with all that was agreed on until now, can answer. */
export async function askServing(client: EtcdClient, url: string, timeoutMs: number) {
  await client.callMember(url, calls.listMembers, { linearizable: true }, timeoutMs);
}

function memberOf({ ID, name = '', peerURLs, clientURLs, isLearner = false }: MemberRecord) {
  const clientUrl = clientURLs?.[0];
  const member: ClusterMember = { id: ID, name, peerUrl: peerURLs?.[0] ?? '', isLearner };
  return clientUrl === undefined ? member : { ...member, clientUrl };
}

/**
 * Makes room for a member, which learns until it is promoted. Its id, and all members by name as it must be started with:
 * `etcdArguments({ members, state: 'existing', ... })`.
 */
export async function addLearner(
  client: EtcdClient,
  { name, peerUrl }: { name: string; peerUrl: string },
): Promise<{ id: string; members: Record<string, string> }> {
  const isNew = (member: ClusterMember) => member.peerUrl === peerUrl;
  let members = await listMembers(client);
  if (!members.some(isNew)) {
    await change(client, calls.addMember, { peerURLs: [peerUrl], isLearner: true });
    members = await listMembers(client);
  }
  const added = members.find(isNew);
  if (!added) throw storeErrors.unavailable(`add etcd member ${name}: it is not listed yet`);
  const named = members.map((member) => [isNew(member) ? name : member.name, member.peerUrl]);
  return { id: added.id, members: Object.fromEntries(named) as Record<string, string> };
}

/** Gives a learner its vote. store.unavailable, to be tried again, until it has caught up with the leader. */
export async function promoteMember(client: EtcdClient, id: string): Promise<void> {
  const member = (await listMembers(client)).find((each) => each.id === id);
  if (!member) throw storeErrors.invalid(`promote etcd member ${id}: there is none of that id`);
  if (member.isLearner) await change(client, calls.promoteMember, { ID: id });
}

/** Takes a member out, dead or alive. */
export async function removeMember(client: EtcdClient, id: string): Promise<void> {
  const members = await listMembers(client);
  if (members.some((each) => each.id === id)) await change(client, calls.removeMember, { ID: id });
}

/** The same member, data and vote, at another address: it must be started again there. */
export async function moveMember(client: EtcdClient, id: string, peerUrl: string): Promise<void> {
  await change(client, calls.updateMember, { ID: id, peerURLs: [peerUrl] });
}

async function change(client: EtcdClient, call: Call, body: object): Promise<void> {
  await client.call(call, body, { what: 'change the members of etcd', isRepeatable: false });
}
