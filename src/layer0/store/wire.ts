// What crosses the store's border. Keys are slash-separated paths (`scheduler/jobs/job-x`), values are JSON.

import type { ErrorBody } from '#core/errors';
import { type Static, Type } from '#core/schema';

/** Most operations in one transaction, compares included. */
export const maxTxnOperations = 100;
/** Most bytes of one transaction, keys and values as JSON. */
export const maxTxnBytes = 1024 * 1024;
/** Shortest and longest life of a lease, milliseconds. */
export const minLeaseMs = 500;
export const maxLeaseMs = 24 * 60 * 60 * 1000;
/** Most entries in one answer of `list`, whatever the limit asks for over HTTP. */
export const maxListLimit = 10_000;
/** Longest key, bytes. */
export const maxKeyBytes = 512;

/** A position in the history of one incarnation. Opaque: compare only through `sameRevision` or inside one incarnation. */
export const revisionSchema = Type.Object({
  incarnation: Type.String({
    description: 'Changes when a store is created, restored or moved to another engine.',
  }),
  revision: Type.Integer({
    minimum: 0,
    description: 'Grows by one with every committed transaction.',
  }),
});
export type Revision = Static<typeof revisionSchema>;

export interface Entry<T = unknown> {
  key: string;
  value: T;
  /** Number of the commit that created the key. */
  createRevision: number;
  /** Number of the commit that last changed it. */
  modRevision: number;
  /** The lease whose end deletes the key. */
  lease?: string;
}

export interface Snapshot<T = unknown> {
  entries: Entry<T>[];
  /** The state of exactly this revision was read. */
  revision: Revision;
  /** Where the next page starts (`after`), when `limit` cut the list. */
  next?: string;
}

export const compareSchema = Type.Union([
  Type.Object({ key: Type.String(), is: Type.Literal('absent') }),
  Type.Object({ key: Type.String(), is: Type.Literal('present') }),
  Type.Object({
    key: Type.String(),
    modRevision: Type.Integer({ description: 'The key is unchanged since this commit.' }),
  }),
  Type.Object({
    key: Type.String(),
    createRevision: Type.Integer({
      description: 'The key is still the one created then: the fence of an election.',
    }),
  }),
  Type.Object({
    key: Type.String(),
    value: Type.Unknown({ description: 'Deep equality of JSON values.' }),
  }),
]);
export type Compare = Static<typeof compareSchema>;

export const operationSchema = Type.Union([
  Type.Object({
    put: Type.String({ minLength: 1 }),
    value: Type.Unknown(),
    lease: Type.Optional(Type.String()),
  }),
  Type.Object({
    delete: Type.String({ minLength: 1, description: 'Deleting an absent key is no error.' }),
  }),
]);
export type Operation = Static<typeof operationSchema>;

export const txnSchema = Type.Object({
  /** From which incarnation the compares' numbers come; another one is store.conflict. */
  incarnation: Type.Optional(Type.String()),
  compare: Type.Array(compareSchema),
  operations: Type.Array(operationSchema),
});
export type Txn = Static<typeof txnSchema>;

/** One entry of a state that takes the place of another. */
export const replacementSchema = Type.Object({
  key: Type.String(),
  value: Type.Unknown(),
  order: Type.Integer({
    minimum: 0,
    description: 'Entries of a lower order get a lower createRevision; of the same, any.',
  }),
  lease: Type.Optional(
    Type.String({ description: 'One that lives now, and goes on with this entry.' }),
  ),
});
export type Replacement = Static<typeof replacementSchema>;
/** Most bytes of keys and values of such a state: it is in memory when it is put in place. */
export const maxReplaceBytes = 256 * 1024 * 1024;

/** A line of a replacement over HTTP: what must hold, then each entry, then how many there were. */
export type ReplaceLine = { compare: Compare[] } | Replacement | { count: number };

export interface TxnResult {
  /** False when a compare failed: nothing was written. */
  ok: boolean;
  /** Of this commit, or of the state that failed the compare. */
  revision: Revision;
  /** Indexes into `compare` that did not hold. */
  failed: number[];
}

export interface WatchEvent<T = unknown> {
  type: 'put' | 'delete';
  key: string;
  /** The entry after a put, and before a delete. */
  entry: Entry<T>;
}

export const entrySchema = Type.Object({
  key: Type.String(),
  value: Type.Unknown(),
  createRevision: Type.Integer(),
  modRevision: Type.Integer(),
  lease: Type.Optional(Type.String()),
});
export const snapshotSchema = Type.Object({
  entries: Type.Array(entrySchema),
  revision: revisionSchema,
  next: Type.Optional(Type.String()),
});
export const txnResultSchema = Type.Object({
  ok: Type.Boolean(),
  revision: revisionSchema,
  failed: Type.Array(Type.Integer()),
});
export const leaseSchema = Type.Object({ id: Type.String(), ttlMs: Type.Integer() });

/** All events of one commit that match the prefix; also sent empty now and then, to move `revision` on. */
export interface WatchBatch<T = unknown> {
  revision: Revision;
  events: WatchEvent<T>[];
}

/** One line of a watch over HTTP; an error is the last one. */
export type WatchLine<T = unknown> = WatchBatch<T> | { error: ErrorBody };

export interface Lease {
  id: string;
  ttlMs: number;
}
