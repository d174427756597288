// Who belongs to the etcd cluster? A new member learns before it votes, so that one that never comes up costs no quorum.
// Every step may be done twice.

import { storeErrors } from '../errors.ts';
import type { Gateway } from './gateway.ts';

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

export async function listMembers(gateway: Gateway): Promise<ClusterMember[]> {
  const what = 'list the members of etcd';
  const answer = await gateway.call<{ members: MemberRecord[] }>(
    '/v3/cluster/member/list',
    {},
    {
      what,
      isRepeatable: true,
    },
  );
  return answer.members.map(memberOf);
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
  gateway: Gateway,
  { name, peerUrl }: { name: string; peerUrl: string },
): Promise<{ id: string; members: Record<string, string> }> {
  const isNew = (member: ClusterMember) => member.peerUrl === peerUrl;
  let members = await listMembers(gateway);
  if (!members.some(isNew)) {
    await change(gateway, 'add', { peerURLs: [peerUrl], isLearner: true });
    members = await listMembers(gateway);
  }
  const added = members.find(isNew);
  if (!added) throw storeErrors.unavailable(`add etcd member ${name}: it is not listed yet`);
  const named = members.map((member) => [isNew(member) ? name : member.name, member.peerUrl]);
  return { id: added.id, members: Object.fromEntries(named) as Record<string, string> };
}

/** Gives a learner its vote. store.unavailable, to be tried again, until it has caught up with the leader. */
export async function promoteMember(gateway: Gateway, id: string): Promise<void> {
  const member = (await listMembers(gateway)).find((each) => each.id === id);
  if (!member) throw storeErrors.invalid(`promote etcd member ${id}: there is none of that id`);
  if (member.isLearner) await change(gateway, 'promote', { ID: id });
}

/** Takes a member out, dead or alive. */
export async function removeMember(gateway: Gateway, id: string): Promise<void> {
  const members = await listMembers(gateway);
  if (members.some((each) => each.id === id)) await change(gateway, 'remove', { ID: id });
}

/** The same member, data and vote, at another address: it must be started again there. */
export async function moveMember(gateway: Gateway, id: string, peerUrl: string): Promise<void> {
  await change(gateway, 'update', { ID: id, peerURLs: [peerUrl] });
}

async function change(gateway: Gateway, verb: string, body: object): Promise<void> {
  const options = { what: `${verb} a member of etcd`, isRepeatable: false };
  await gateway.call(`/v3/cluster/member/${verb}`, body, options);
}
