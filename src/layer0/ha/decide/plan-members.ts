// Which machine should have a copy of the store, and what is the next step there? One at a time: the next look sees whether
// it has been done.

import type { Node } from '../wire.ts';

/** A member of etcd as etcd lists it. */
export interface ListedMember {
  id: string;
  /** The machine; empty until it has been started. */
  name: string;
  peerUrl: string;
  isLearner: boolean;
}

/** A machine of the cluster. */
export interface KnownMachine {
  node: Node;
  name: string;
  /** Fit for a copy: it answers, and has room. */
  isFit: boolean;
}

export type MemberStep =
  /** Its machine is of the cluster no longer. */
  | { kind: 'remove'; id: string; name: string }
  /** It was added and has not been started. */
  | { kind: 'start'; id: string; node: Node }
  /** It has learnt, or is about to have. */
  | { kind: 'promote'; id: string; name: string }
  | { kind: 'add'; node: Node };

export function planMembers(
  listed: readonly ListedMember[],
  machines: readonly KnownMachine[],
  wanted: number,
): MemberStep | undefined {
  const machineOf = ({ name, peerUrl }: ListedMember) =>
    machines.find(({ node }) => node.peerUrl === peerUrl || node.hostId === name);
  // Nothing is known of the machines: none was removed.
  if (machines.length === 0) return undefined;
  const gone = listed.find((member) => !machineOf(member));
  if (gone) return { kind: 'remove', id: gone.id, name: gone.name || gone.peerUrl };
  for (const member of listed.filter(({ isLearner }) => isLearner)) {
    const machine = machineOf(member);
    if (member.name !== '') return { kind: 'promote', id: member.id, name: member.name };
    if (machine?.isFit) return { kind: 'start', id: member.id, node: machine.node };
  }
  if (listed.length >= wanted) return undefined;
  const [next] = machines
    .filter(({ isFit, node }) => isFit && !listed.some(({ name }) => name === node.hostId))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return next && { kind: 'add', node: next.node };
}
