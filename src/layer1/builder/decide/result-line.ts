// The last word of a build job: one marked line with the buildpack, the Procfile and bin/release, as build.sh prints it.
// A build can print such a line itself. All it then decides is which commands its own app has, which is its author's right.

import { builderErrors } from '../errors.ts';
import { type CommandLines, chooseCommands, maxProcfileBytes } from './process-types.ts';

export interface BuildReport {
  buildpack: string;
  commands: CommandLines;
}

/** Longest result line: two texts in base 64 and the names around them. */
export const maxResultBytes = 4 * maxProcfileBytes;

/** `<mark> <buildpack> <Procfile or -> <release>`, the texts in base 64. */
export function parseResultLine(line: string, mark: string): BuildReport {
  const [first, buildpack, procfile, release] = line.split(' ');
  if (first !== mark || !buildpack || !procfile || !/^[a-z][a-z0-9-]{0,40}$/.test(buildpack))
    throw builderErrors.failed('the build ended without saying what it made');
  return {
    buildpack,
    commands: chooseCommands(procfile === '-' ? undefined : decoded(procfile), decoded(release)),
  };
}

function decoded(text: string | undefined): string {
  return Buffer.from(text ?? '', 'base64').toString('utf8');
}
