// What is the next step with the container of etcd on this machine? One at a time: the next look sees whether it has been done.
// Two never run on one folder of data, and the one before stays until the new one serves.

export interface SeenContainer {
  /** Hash of what it was made from. */
  plan: string;
  isRunning: boolean;
  /** It has the vote and the data that the wanted one is to have. */
  isSameMember: boolean;
}

export interface ContainersSeen {
  /** Hash of what the container is to be made from. */
  wanted: string;
  current: SeenContainer | undefined;
  /** Set aside for `current`. */
  before: SeenContainer | undefined;
  /** Hash of what did not come up in this life of the daemon. */
  refused: string | undefined;
}

export type ContainerStep =
  | { kind: 'nothing' }
  /** It serves, and another one is to: when it is this machine's turn. */
  | { kind: 'set-aside' }
  | EngineStep;

export type EngineStep =
  | { kind: 'start' }
  | { kind: 'create' }
  /** Of another member, or in the way: its end costs nobody anything. */
  | { kind: 'remove' }
  /** The new one runs: it serves and the one before goes, or it has had its time and the one before comes back. */
  | { kind: 'judge' }
  | { kind: 'put-back' };

export function planContainer({ wanted, current, before, refused }: ContainersSeen): ContainerStep {
  if (!current) return { kind: before && wanted === refused ? 'put-back' : 'create' };
  if (current.plan !== wanted) {
    const isKept = current.isSameMember && !before;
    if (!isKept) return { kind: 'remove' };
    if (wanted !== refused) return { kind: 'set-aside' };
  }
  if (!current.isRunning) return { kind: 'start' };
  return { kind: before ? 'judge' : 'nothing' };
}
