// Which processes an app has: from the text of a Procfile, or from a buildpack's bin/release.
// Both are written by strangers: names and sizes are checked here, once.

import { maxProcessTypes, processTypePattern } from '#layer0/scheduler/wire';
import { builderErrors } from '../errors.ts';

/** Process type to its command line. */
export type CommandLines = Record<string, string>;

/** Longest Procfile or answer of bin/release, bytes. */
export const maxProcfileBytes = 64 * 1024;

const typeShape = new RegExp(processTypePattern);

/** Lines `type: command`; empty lines and those that begin with # say nothing. Anything else is builder.badProcfile. */
export function parseProcfile(text: string): CommandLines {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const commands = new Map<string, string>();
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    const [type, command] = procfileLine(line, index + 1);
    if (commands.has(type)) throw bad(index + 1, `the type ${type} is there twice`);
    commands.set(type, command);
  }
  if (commands.size === 0)
    throw builderErrors.badProcfile(
      'the Procfile is empty: write a line such as `web: node index.js`, or remove the file',
    );
  if (commands.size > maxProcessTypes)
    throw builderErrors.badProcfile(
      `the Procfile has ${commands.size} process types; ${maxProcessTypes} is the limit`,
    );
  return Object.fromEntries(commands);
}

function procfileLine(line: string, number: number): [string, string] {
  const colon = line.indexOf(':');
  if (colon < 0) throw bad(number, `"${shortened(line)}" is not \`type: command\``);
  const type = line.slice(0, colon).trim();
  const command = line.slice(colon + 1).trim();
  if (!typeShape.test(type))
    throw bad(
      number,
      `"${shortened(type)}" cannot be a process type: lower-case letters, digits and dashes, at most 30`,
    );
  if (command === '') throw bad(number, `the type ${type} has no command`);
  if (command.includes('\0')) throw bad(number, 'a command cannot contain a zero byte');
  return [type, command];
}

function bad(number: number, problem: string) {
  return builderErrors.badProcfile(`Procfile, line ${number}: ${problem}`);
}

function shortened(text: string): string {
  const plain = text.replaceAll(/\p{Cc}/gu, '?');
  return plain.length > 60 ? `${plain.slice(0, 60)}...` : plain;
}

/** The `default_process_types` of a buildpack's bin/release, a small part of YAML: `  type: command`. Others are ignored. */
export function parseRelease(text: string): CommandLines {
  const commands: CommandLines = {};
  let isInside = false;
  for (const line of text.split(/\r?\n/)) {
    if (/^\S/.test(line)) isInside = line.startsWith('default_process_types:');
    const match = isInside ? /^\s+([^\s:]+):\s*(\S.*?)\s*$/.exec(line) : null;
    if (match?.[1] && match[2] && typeShape.test(match[1])) commands[match[1]] = unquoted(match[2]);
  }
  return commands;
}

function unquoted(text: string): string {
  return /^(["']).*\1$/.test(text) ? text.slice(1, -1) : text;
}

/** A Procfile is the whole truth where there is one; without it the buildpack's defaults are. */
export function chooseCommands(
  procfile: string | undefined,
  release: string | undefined,
): CommandLines {
  if (procfile !== undefined) return parseProcfile(procfile);
  const commands = parseRelease(release ?? '');
  if (Object.keys(commands).length > 0) return commands;
  throw builderErrors.noProcess(
    'nothing says what to run: add a Procfile with a line such as `web: node index.js`',
  );
}
