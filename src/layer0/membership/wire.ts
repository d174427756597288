// Members and join tokens. One key, one writer (the membership component):
//   membership/authority              the cluster's authority, its key sealed
//   membership/members/<host>         who may speak at the peer door; written by the member that admits, then by the member itself
//   membership/removed/<host>         stands for a while over one that was removed: it cannot register
//   membership/tokens/<hash>          an open or used join token, by the SHA-256 of its secret

import { type Static, Type } from '#core/schema';

export const authorityKey = 'membership/authority';
export const memberPrefix = 'membership/members/';
export const tokenPrefix = 'membership/tokens/';
export const removedPrefix = 'membership/removed/';
export const removedKey = (host: string) => `${removedPrefix}${host}`;
export const memberKey = (host: string) => `${memberPrefix}${host}`;
export const tokenKey = (hash: string) => `${tokenPrefix}${hash}`;

export const authorityRecordSchema = Type.Object({
  certificatePem: Type.String(),
  sealedKeyPem: Type.String({ description: 'Sealed for `membership/authority`.' }),
});
export type AuthorityRecord = Static<typeof authorityRecordSchema>;

export const memberSchema = Type.Object({
  hostId: Type.String(),
  name: Type.String({ description: 'For people.' }),
  address: Type.String({ description: 'Where the others reach it.' }),
  port: Type.Integer({ description: 'Of its peer door.' }),
  admittedAt: Type.Integer({ description: 'Unix time in milliseconds.' }),
});
export type Member = Static<typeof memberSchema>;

export const removedSchema = Type.Object({
  name: Type.String(),
  at: Type.Integer({ description: 'Unix time in milliseconds.' }),
});
export type Removed = Static<typeof removedSchema>;

export const tokenRecordSchema = Type.Object({
  createdAt: Type.Integer({ description: 'Unix time in milliseconds.' }),
  expiresAt: Type.Integer({ description: 'Unix time in milliseconds.' }),
  usedBy: Type.Optional(
    Type.String({ description: 'Host id of the machine that joined with it.' }),
  ),
});
export type TokenRecord = Static<typeof tokenRecordSchema>;

/** A newer machine may say more: that is ignored. */
export const joinRequestSchema = Type.Object({
  secret: Type.String({ maxLength: 200 }),
  requestPem: Type.String({
    maxLength: 4000,
    description: 'PKCS #10; its subject is not looked at.',
  }),
  name: Type.String({ minLength: 1, maxLength: 253 }),
  address: Type.String({ minLength: 1, maxLength: 253 }),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
});
export type JoinRequest = Static<typeof joinRequestSchema>;

export const joinAnswerSchema = Type.Object({
  hostId: Type.String(),
  clusterId: Type.String(),
  certificatePem: Type.String(),
  authorityPem: Type.String(),
  sealKey: Type.String({ description: 'The key that config values are sealed with, base64.' }),
  members: Type.Array(memberSchema),
  settings: Type.Record(Type.String(), Type.String(), {
    description: 'What the cluster has chosen and each member must know: domain, ports.',
  }),
});
export type JoinAnswer = Static<typeof joinAnswerSchema>;

export const issuedTokenSchema = Type.Object({
  token: Type.String({ description: 'For `script/up --join`; shown once.' }),
  expiresAt: Type.Integer({ description: 'Unix time in milliseconds.' }),
});
export type IssuedToken = Static<typeof issuedTokenSchema>;
