// A line of an app's log, and how to ask for lines.

import { oneOf, type Static, Type } from '#core/schema';
import { cursorPattern } from './decide/cursor.ts';
import { mergedCursorPattern } from './decide/merged-cursor.ts';

const cursorSchema = Type.String({
  description: 'Behind which place of the history `after` goes on; it has no parts for anybody.',
});

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
  cursor: cursorSchema,
});
export type LogLine = Static<typeof logLineSchema>;

/** Only of a log that is followed: nothing is said here, and a reader who was cut off goes on from here. */
export const logMarkSchema = Type.Object({ cursor: cursorSchema });
export type LogMark = Static<typeof logMarkSchema>;

export type LogEntry = LogLine | LogMark;

const afterSchema = (pattern: string) =>
  Type.Optional(
    Type.String({
      pattern,
      description:
        'The cursor of what was read last: all that follows it comes, each line once, with a line that says so where some are no longer kept.',
    }),
  );

/** What can be asked of the log of an app. */
export const logQueryFields = {
  type: Type.Optional(Type.String({ maxLength: 64 })),
  instance: Type.Optional(Type.String({ maxLength: 64 })),
  lines: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 100_000,
      description:
        'How many of the last lines, ordered by time; 100 unless told. Not with `after`.',
    }),
  ),
  after: afterSchema(cursorPattern),
  follow: Type.Optional(Type.Boolean()),
};

/** The same of all machines together. */
export const mergedLogQueryFields = {
  ...logQueryFields,
  after: afterSchema(mergedCursorPattern),
};

export const logQuerySchema = Type.Object({ app: Type.String(), ...logQueryFields });
export type LogQuery = Static<typeof logQuerySchema>;
