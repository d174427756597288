// The options of a command: its own, and those that follow from what it is. One answer for the parser, help and docs.

import type { CommandSpec, OptionSpec } from './command.ts';

const common = {
  app: { short: 'a', value: 'APP', doc: 'the app; else the git remote, else GANTRY_APP' },
  named: { short: 'a', value: 'APP', doc: 'only of this app' },
  json: { doc: 'print JSON for programs' },
  cluster: { value: 'NAME', doc: 'another cluster than the current one' },
  help: { short: 'h', doc: 'show this help' },
} satisfies Record<string, OptionSpec>;

export function optionsOf(spec: CommandSpec): Record<string, OptionSpec> {
  return {
    ...spec.options,
    ...(spec.app ? { app: spec.app === 'found' ? common.app : common.named } : {}),
    ...(spec.isRead ? { json: common.json } : {}),
    ...(spec.isLocal ? {} : { cluster: common.cluster }),
    help: common.help,
  };
}

/** `-n, --lines N` */
export function flagsOf(name: string, { short, value }: OptionSpec): string {
  const long = value === undefined ? `--${name}` : `--${name} ${value}`;
  return short === undefined ? `    ${long}` : `-${short}, ${long}`;
}

/** `gantry env set NAME=VALUE... [options]` */
export function usageOf({ name, usage, passesRest }: CommandSpec): string {
  const words = usage === undefined ? [] : [usage];
  const tail = passesRest ? ['[options]', ...words] : [...words, '[options]'];
  return ['gantry', name, ...tail].join(' ');
}
