// The pages of `--help`, made from the registry.

import type { CommandSpec } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { flagsOf, optionsOf, usageOf } from './options.ts';
import { commands, groups } from './registry.ts';

export function overview(): string {
  const shown = commands.filter(({ isHidden }) => !isHidden);
  const width = Math.max(...shown.map(({ name }) => name.length));
  const sections = groups.map((group) => {
    const rows = shown
      .filter((spec) => spec.group === group)
      .map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`);
    return `${group}\n${rows.join('')}`;
  });
  const codes = exitCodes.map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}\n`);
  return `gantry COMMAND [options]: run apps on your own machines

${sections.join('\n')}
The app is the one of \`-a APP\`, else of the repository's git remote, else GANTRY_APP.
A colon in place of the space is the same: \`gantry env:set\`. Other names: \`gantry help COMMAND\`.

Exit codes
${codes.join('')}  \`gantry run\` ends with the code of the command it ran.
`;
}

export function helpOf(spec: CommandSpec): string {
  const options = Object.entries(optionsOf(spec)).map(
    ([name, option]) => [flagsOf(name, option), option.doc] as const,
  );
  const width = Math.max(...options.map(([flags]) => flags.length));
  const aliases = (spec.aliases ?? []).map((alias) => `gantry ${alias}`).join(', ');
  return [
    `usage: ${usageOf(spec)}\n\n${spec.summary}.\n`,
    ...(spec.details === undefined ? [] : [`\n${spec.details}\n`]),
    `\nOptions\n${options.map(([flags, doc]) => `  ${flags.padEnd(width)}  ${doc}\n`).join('')}`,
    `\nExamples\n${spec.examples.map((example) => `  ${example}\n`).join('')}`,
    ...(aliases === '' ? [] : [`\nAlso: ${aliases}\n`]),
  ].join('');
}
