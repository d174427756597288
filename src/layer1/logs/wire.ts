// A line of an app's log, and how to ask for lines.

import { oneOf, type Static, Type } from '#core/schema';

export const logLineSchema = Type.Object({
  time: Type.String({ description: 'RFC 3339 with nanoseconds, as the engine stamped it.' }),
  app: Type.String({ description: 'App id.' }),
  type: Type.String(),
  instance: Type.String({ description: '`web.1`.' }),
  job: Type.String(),
  stream: oneOf('stdout', 'stderr', 'gantry'),
  text: Type.String(),
  /** Lines are known to be missing before this one; stream is `gantry` and text says how many bytes or why. */
  isGap: Type.Optional(Type.Boolean()),
});
export type LogLine = Static<typeof logLineSchema>;

export const logQuerySchema = Type.Object({
  app: Type.String(),
  type: Type.Optional(Type.String()),
  instance: Type.Optional(Type.String()),
  lines: Type.Optional(Type.Integer({ minimum: 0, maximum: 100_000 })),
  follow: Type.Optional(Type.Boolean()),
});
export type LogQuery = Static<typeof logQuerySchema>;
