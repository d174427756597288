// What crosses the border between the pre-receive hook and the receiver: one request, then lines.

import { type Static, Type } from '#core/schema';

/** Where the hook finds the receiver, and which push it belongs to: environment of one git process, never on disk. */
export const hookEnv = { socket: 'GANTRY_PUSH_SOCKET', secret: 'GANTRY_PUSH_SECRET' } as const;

export const refUpdateSchema = Type.Object({
  oldId: Type.String({ pattern: '^[0-9a-f]{40,64}$', description: 'All zeros: the ref is new.' }),
  newId: Type.String({
    pattern: '^[0-9a-f]{40,64}$',
    description: 'All zeros: the ref is deleted.',
  }),
  ref: Type.String({ maxLength: 1024 }),
});
export type RefUpdate = Static<typeof refUpdateSchema>;

export const hookRequestSchema = Type.Object({
  updates: Type.Array(refUpdateSchema, { maxItems: 1000 }),
  /** git's own variables that make the new objects visible before they are accepted (quarantine, shallow file). */
  objectEnv: Type.Record(Type.String({ pattern: '^GIT_[A-Z_]+$' }), Type.String()),
});
export type HookRequest = Static<typeof hookRequestSchema>;

/** Lines for the pusher; the last one is the verdict. */
export type HookLine = { text: string } | { isAccepted: boolean };
