// What `GET /cluster` answers: the whole cluster on one screen, also while its store is away.

import { oneOf, type Static, Type } from '#core/schema';

const unixMs = 'Unix time in milliseconds.';

export const machineViewSchema = Type.Object({
  id: Type.String(),
  name: Type.String(),
  address: Type.String(),
  state: Type.String({ description: '`up`, `silent`, or what `GET /hosts` says of it.' }),
  isDrained: Type.Optional(Type.Boolean({ description: 'True: it gets no processes.' })),
  reason: Type.Optional(Type.String({ description: 'Why it is not up, and what to do.' })),
  silentForMs: Type.Optional(
    Type.Integer({
      description: 'Since this controller saw it go; absent where it never saw it up.',
    }),
  ),
  version: Type.Optional(Type.String()),
  roles: Type.Array(Type.String(), {
    description: '`store`: it has the embedded one, or a copy on etcd; `scheduler`: it leads.',
  }),
  jobs: Type.Optional(Type.Integer({ description: 'Placed there and not ended.' })),
  diskFreeBytes: Type.Optional(Type.Integer()),
  clockAheadMs: Type.Optional(Type.Integer()),
  certificateEndsAt: Type.Optional(Type.Integer({ description: unixMs })),
});
export type MachineView = Static<typeof machineViewSchema>;

export const storeViewSchema = Type.Object({
  isAnswering: Type.Boolean(),
  engine: oneOf('embedded', 'etcd', 'unknown'),
  host: Type.Optional(
    Type.String({ description: 'Name of the machine that has the embedded one.' }),
  ),
  revision: Type.Optional(Type.Integer()),
  incarnation: Type.Optional(Type.String()),
  members: Type.Optional(
    Type.Array(Type.String(), {
      description: 'Machines with a copy of the store on etcd, and which of them leads or is away.',
    }),
  ),
  health: Type.Optional(
    Type.String({
      description:
        '`healthy`, `degraded`, `no-quorum` or `undecided`, when the machine that was asked says.',
    }),
  ),
  message: Type.String({ description: 'In a sentence, and what it means while it is away.' }),
});
export type StoreView = Static<typeof storeViewSchema>;

export const clusterViewSchema = Type.Object({
  at: Type.Integer({ description: unixMs }),
  machines: Type.Array(machineViewSchema),
  store: storeViewSchema,
  scheduler: Type.Object({
    leader: Type.Optional(Type.String({ description: 'Name of the machine that places jobs.' })),
    commits: Type.Integer({ description: 'Since the daemons started.' }),
    conflicts: Type.Integer({ description: 'Decisions that came too late and were made again.' }),
  }),
  pending: Type.Array(
    Type.Object({
      app: Type.String(),
      name: Type.String(),
      reason: Type.String(),
      since: Type.Integer({ description: unixMs }),
    }),
    { description: 'Jobs without a machine.' },
  ),
  short: Type.Array(
    Type.Object({
      app: Type.String(),
      type: Type.String(),
      version: Type.Integer(),
      wanted: Type.Integer(),
      healthy: Type.Integer(),
      reason: Type.Optional(Type.String({ description: 'Of the first one that is not healthy.' })),
    }),
    { description: 'What runs in fewer copies than it should.' },
  ),
  certificates: Type.Array(
    Type.Object({ of: Type.String(), endsAt: Type.Integer({ description: unixMs }) }),
    { description: 'Those near their end, of machines and of domains.' },
  ),
  versions: Type.Array(
    Type.Object({ version: Type.String(), machines: Type.Array(Type.String()) }),
    { description: 'More than one: an upgrade has not come to all.' },
  ),
});
export type ClusterView = Static<typeof clusterViewSchema>;
