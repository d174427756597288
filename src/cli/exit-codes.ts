// The numbers a script can rely on.

import { interruptedExitCode } from './io.ts';

export const exitCodes = [
  [0, 'it worked'],
  [1, 'it failed; the last line on stderr says why'],
  [2, 'the command line, or a value in it, is not valid'],
  [3, 'there is no app, release, job, ... of that name'],
  [4, 'the token is missing, unknown or revoked'],
  [5, 'the API cannot be reached'],
  [interruptedExitCode, 'Ctrl-C'],
] as const;

export function exitCodeOf({ code, status }: { code: string; status: number }): number {
  if (code === 'core.unreachable' || code === 'core.timeout' || status === 503) return 5;
  if (status === 401 || status === 403) return 4;
  if (status === 404) return 3;
  if (status === 400) return 2;
  return 1;
}
