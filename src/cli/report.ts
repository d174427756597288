// How a failure ends: one sentence on stderr, details below it, the stack only for who asked with GANTRY_DEBUG.

import { type AppError, toAppError } from '#core/errors';
import type { Cluster } from './clusters.ts';
import { cliErrors } from './errors.ts';
import { explain } from './explain.ts';
import type { Io } from './io.ts';
import { nearest } from './nearest.ts';
import { paintFor } from './paint.ts';
import { commandNames } from './registry.ts';

export function printError(io: Io, error: unknown, cluster?: Cluster): number {
  const { sentence, details, exitCode } = explain(toAppError(error), cluster);
  const paint = paintFor(io.stderr, io.env);
  io.stderr.write(`${paint('gantry:', 'red')} ${sentence}\n`);
  for (const detail of details) io.stderr.write(`  ${detail}\n`);
  if (io.env.GANTRY_DEBUG) io.stderr.write(`${stackOf(error)}\n`);
  return exitCode;
}

export function unknownCommand(words: readonly string[]): AppError {
  const [first = '', second = ''] = words;
  const typed = first.replaceAll(':', ' ');
  const pair = second === '' || second.startsWith('-') ? typed : `${typed} ${second}`;
  const names = commandNames();
  const isGroup = names.includes(typed);
  const guess = nearest(
    pair,
    isGroup ? names.filter((name) => name.startsWith(`${typed} `)) : names,
  );
  const other = guess ?? (isGroup ? undefined : nearest(typed, names));
  const hint = other ? `did you mean \`gantry ${other}\`?` : '`gantry help` lists them all';
  return cliErrors.usage(`there is no command \`${isGroup ? pair : first}\`; ${hint}`);
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
