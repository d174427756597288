// Every command, as data: what `help`, completion, docs/cli.md and the parser are made from. Importing it runs nothing.

import type { CommandSpec, Group } from './command.ts';
import { flagsOf, optionsOf, usageOf } from './options.ts';
import { appCommands } from './specs/apps.ts';
import { clusterCommands } from './specs/cluster.ts';
import { processCommands } from './specs/processes.ts';
import { releaseCommands } from './specs/releases.ts';

const all = [...appCommands, ...processCommands, ...releaseCommands, ...clusterCommands] as const;

export type CommandName = (typeof all)[number]['name'];
/** A row of the registry. */
export type KnownCommand = CommandSpec & { name: CommandName };

export const commands: readonly KnownCommand[] = all;

export const groups: readonly Group[] = [
  'Apps',
  'Processes',
  'Releases',
  'Routes',
  'Cluster',
  'This tool',
];

const byName = new Map(
  commands.flatMap((spec) =>
    [spec.name, ...(spec.aliases ?? [])].map((name) => [withSpaces(name), spec] as const),
  ),
);

function withSpaces(name: string): string {
  return name.replaceAll(':', ' ');
}

/** Names and aliases with spaces, except the hidden ones. */
export function commandNames(): string[] {
  return [...byName].filter(([, spec]) => !spec.isHidden).map(([name]) => name);
}

/** A word in the place of a second one that a group of commands does not have: `gantry env gte`. */
export function isSlip({ name, takes: [, most] = [0, 0] }: CommandSpec, rest: readonly string[]) {
  const [word] = rest;
  if (most > 0 || word === undefined || word.startsWith('-')) return false;
  return commands.some((other) => other.name.startsWith(`${name} `));
}

/** The command that the first one, two or three words name, and the words after them. */
export function findCommand(
  words: readonly string[],
): { spec: KnownCommand; rest: readonly string[] } | undefined {
  const [first, second, third] = words;
  if (first === undefined) return undefined;
  const whole = withSpaces(first);
  const triple = byName.get(`${whole} ${second} ${third}`);
  if (triple) return { spec: triple, rest: words.slice(3) };
  const pair = byName.get(`${whole} ${second}`);
  if (pair) return { spec: pair, rest: words.slice(2) };
  const single = byName.get(whole);
  return single && { spec: single, rest: words.slice(1) };
}

export interface CommandDoc {
  name: string;
  aliases: string[];
  group: Group;
  summary: string;
  /** The whole line: `gantry env set NAME=VALUE... [options]`. */
  usage: string;
  options: { flags: string; doc: string }[];
  details?: string;
  examples: string[];
}

/** What docs/cli.md is generated from, group by group. */
export function describeCommands(): CommandDoc[] {
  return groups.flatMap((group) =>
    commands
      .filter((spec) => spec.group === group && !spec.isHidden)
      .map((spec) => ({
        name: spec.name,
        aliases: [...(spec.aliases ?? [])],
        group,
        summary: spec.summary,
        usage: usageOf(spec),
        options: Object.entries(optionsOf(spec)).map(([name, option]) => ({
          flags: flagsOf(name, option).trim(),
          doc: option.doc,
        })),
        ...(spec.details === undefined ? {} : { details: spec.details }),
        examples: [...spec.examples],
      })),
  );
}
