// docs/errors.md, docs/configuration.md and docs/cli.md: tables of what the code registers, never typed by hand.

import type { ErrorSpec } from '#core/errors';

export const generatedMark =
  '<!-- Written by `npm run generate`: change the code, not this file. -->';

/** One section per component, in the order of the codes. */
export function renderErrors(errors: readonly [string, ErrorSpec][]): string {
  const intro = [
    '# Errors',
    '',
    generatedMark,
    '',
    'Every error has this body, in any API: `{ "code", "message", "detail", "retry" }`. Compare the code; show the message.',
    '`retry` means that the same call may succeed later without anyone changing anything.',
  ];
  const sections = groupBy(errors, ([code]) => code.split('.')[0] ?? '');
  const tables = [...sections].flatMap(([component, entries]) => [
    '',
    `## ${component}`,
    '',
    '| code | status | retry | when, and what to do |',
    '| --- | --- | --- | --- |',
    ...entries.map(
      ([code, { status, retry, doc }]) =>
        `| \`${code}\` | ${status} | ${retry ? 'yes' : 'no'} | ${cell(doc)} |`,
    ),
  ]);
  return `${[...intro, ...tables].join('\n')}\n`;
}

export interface SettingEntry {
  env: string;
  doc: string;
  fallback?: unknown;
}

export interface SettingGroup {
  /** Folder below src: `layer0/host`. */
  component: string;
  settings: SettingEntry[];
}

export function renderConfiguration(groups: readonly SettingGroup[]): string {
  const intro = [
    '# Configuration',
    '',
    generatedMark,
    '',
    'Environment variables of the processes, read once at start. `script/up` and the host agent set those that have no',
    'default; the others keep what is written here unless `script/up --set NAME=VALUE` says otherwise.',
  ];
  const tables = groups.flatMap(({ component, settings }) => [
    '',
    `## ${component}`,
    '',
    '| variable | default | what it is |',
    '| --- | --- | --- |',
    ...settings.map(
      ({ env, doc, fallback }) => `| \`${env}\` | ${defaultText(fallback)} | ${cell(doc)} |`,
    ),
  ]);
  return `${[...intro, ...tables].join('\n')}\n`;
}

function defaultText(fallback: unknown): string {
  if (fallback === undefined) return 'required';
  return fallback === '' ? 'empty' : `\`${String(fallback)}\``;
}

export interface CommandEntry {
  name: string;
  aliases: string[];
  group: string;
  summary: string;
  usage: string;
  options: { flags: string; doc: string }[];
  details?: string;
  examples: string[];
}

export function renderCommands(commands: readonly CommandEntry[]): string {
  const intro = [
    '# The `gantry` command',
    '',
    generatedMark,
    '',
    'The same text as `gantry help NAME`. Two words may also be joined by a colon: `gantry env:set`.',
  ];
  const sections = [...groupBy(commands, ({ group }) => group)].flatMap(([group, entries]) => [
    ...['', `## ${group}`],
    ...entries.flatMap(renderCommand),
  ]);
  return `${[...intro, ...sections].join('\n')}\n`;
}

function renderCommand({ name, aliases, summary, ...more }: CommandEntry): string[] {
  const { usage, options, details, examples } = more;
  const names = aliases.map((alias) => `\`${alias}\``).join(', ');
  return [
    ...['', `### ${name}`, '', summary, '', '```', usage, '```'],
    ...(names === '' ? [] : ['', `Also: ${names}.`]),
    ...(details === undefined ? [] : ['', ...details.split('\n')]),
    ...(options.length === 0 ? [] : ['', '| option | |', '| --- | --- |']),
    ...options.map(({ flags, doc }) => `| \`${cell(flags)}\` | ${cell(doc)} |`),
    ...(examples.length === 0 ? [] : ['', '```', ...examples, '```']),
  ];
}

/** Whether a module's export is an object of settings, and which. */
export function settingsOf(exported: unknown): SettingEntry[] | undefined {
  if (typeof exported !== 'object' || exported === null) return undefined;
  const values: unknown[] = Object.values(exported);
  return values.length > 0 && values.every(isSetting) ? values : undefined;
}

function isSetting(value: unknown): value is SettingEntry {
  return (
    typeof value === 'object' &&
    value !== null &&
    'env' in value &&
    'doc' in value &&
    'read' in value
  );
}

/** Text for a cell of a Markdown table. */
export function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
