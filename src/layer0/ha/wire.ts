// What machines tell each other about where the store is, and the two files of it in <home>:
//   etcd.json          the store is on etcd, and there: written when this machine learns it, never taken back
//   etcd-member.json   this machine runs a member of etcd, with this plan

import { type Static, Type } from '#core/schema';

export const nodeSchema = Type.Object({
  hostId: Type.String({ description: "The machine, and its member's name in etcd." }),
  clientUrl: Type.String({ description: 'Where daemons reach it.' }),
  peerUrl: Type.String({ description: 'Where the other members reach it.' }),
});
export type Node = Static<typeof nodeSchema>;

export const placeSchema = Type.Object({
  token: Type.String({ description: 'Names this etcd, so that it is never taken for another.' }),
  incarnation: Type.String({ description: 'Of the store in it, when this was written.' }),
  nodes: Type.Array(nodeSchema),
});
export type Place = Static<typeof placeSchema>;

export const memberPlanSchema = Type.Object({
  token: Type.String(),
  state: Type.Union([Type.Literal('new'), Type.Literal('existing')], {
    description: '`existing`: it joins an etcd that runs.',
  }),
  nodes: Type.Array(nodeSchema, { description: 'All members, this one included.' }),
  data: Type.String({
    pattern: '^[0-9a-z-]+$',
    description:
      'Folder of its data below `<home>/etcd`: another one for each member that is made.',
  }),
});
export type MemberPlan = Static<typeof memberPlanSchema>;

/** Is the etcd of this machine of the daemon's version, and how far is its replacement? */
export const renewalSchema = Type.Object({
  state: Type.Union(
    [
      Type.Literal('settled'),
      Type.Literal('running'),
      Type.Literal('held-up'),
      Type.Literal('failed'),
    ],
    { description: '`held-up`: copies on other machines are away; `failed`: it was put back.' },
  ),
  reason: Type.Optional(Type.String()),
});
export type Renewal =
  | { state: 'settled' }
  | { state: 'running' | 'held-up' | 'failed'; reason: string };

/** A machine as one that could have a copy of the store. */
export const candidateSchema = Type.Object({
  hostId: Type.String(),
  version: Type.String(),
  freeBytes: Type.Integer({ description: 'On the disk of <home>.' }),
  token: Type.Optional(Type.String({ description: 'Of the etcd that it runs a member of.' })),
  renewal: Type.Optional(renewalSchema),
});
export type Candidate = Static<typeof candidateSchema>;

export const moveStatusSchema = Type.Object({
  state: Type.Union([
    Type.Literal('idle'),
    Type.Literal('running'),
    Type.Literal('failed'),
    Type.Literal('done'),
  ]),
  step: Type.Optional(Type.String({ description: 'What is being done, for people.' })),
  error: Type.Optional(
    Type.Object({ code: Type.String(), message: Type.String() }, { description: 'Why it failed.' }),
  ),
});
export type MoveStatus = Static<typeof moveStatusSchema>;

export const memberStatusSchema = Type.Object({
  hostId: Type.String(),
  url: Type.String(),
  isReachable: Type.Boolean(),
  isLeader: Type.Boolean(),
  isLearner: Type.Boolean(),
  dbBytes: Type.Integer({
    description: 'Size of its database; above 2 GiB it takes deletes only.',
  }),
  alarm: Type.Optional(
    Type.String({ description: '`NOSPACE`: it takes deletes only; `CORRUPT`: it differs.' }),
  ),
});
export type MemberStatus = Static<typeof memberStatusSchema>;

export const haStatusSchema = Type.Object({
  engine: Type.Union([Type.Literal('embedded'), Type.Literal('remote'), Type.Literal('etcd')], {
    description: '`remote`: embedded, on another machine.',
  }),
  storeHost: Type.Optional(Type.String({ description: 'The machine of an embedded store.' })),
  health: Type.Union([
    Type.Literal('healthy'),
    Type.Literal('degraded'),
    Type.Literal('no-quorum'),
    Type.Literal('undecided'),
  ]),
  summary: Type.String({ description: 'The same for people.' }),
  members: Type.Array(memberStatusSchema, { description: 'Of etcd; empty for an embedded store.' }),
  move: moveStatusSchema,
});
export type HaStatus = Static<typeof haStatusSchema>;
