// The table of components in ARCHITECTURE.md: what each is for, which others it calls, which packages it may import.

import { type Architecture, componentsOf, usesOf } from '../check-architecture.ts';
import type { SourceFile } from '../source-files.ts';
import { cell } from './reference.ts';

export const beginMark = '<!-- components: written by `npm run generate` -->';
export const endMark = '<!-- end of components -->';

/** The text with what stands between the marks replaced; an error when they are not there. */
export function replaceBetweenMarks(text: string, table: string): string {
  const [begin, end] = [text.indexOf(beginMark), text.indexOf(endMark)];
  if (begin < 0 || end < begin) throw new Error(`the marks "${beginMark}" ... are missing`);
  return `${text.slice(0, begin + beginMark.length)}\n${table}\n${text.slice(end)}`;
}

export function renderComponents(
  architecture: Architecture,
  sources: readonly SourceFile[],
  readmeOf: (component: string) => string | undefined,
): string {
  const rows = componentsOf(architecture).map((component) => {
    const readme = readmeOf(component);
    const name = readme === undefined ? component : `[${component}](src/${component}/README.md)`;
    const question = readme === undefined ? '' : questionOf(readme);
    const packages = architecture.packages[component] ?? [];
    const called = usesOf(component, architecture, sources);
    return `| ${name} | ${cell(question)} | ${called.join(', ')} | ${packages.join(', ')} |`;
  });
  const head = [
    '| component | the question it answers | calls | packages |',
    '| --- | --- | --- | --- |',
  ];
  return [...head, ...rows].join('\n');
}

/** A README says what its component is for in its title, after a colon, or in its first sentence. */
export function questionOf(readme: string): string {
  const [title = '', ...rest] = readme.split('\n');
  const afterColon = title.match(/^# [^:]*: (.+)$/)?.[1];
  if (afterColon !== undefined) return upperFirst(afterColon);
  const paragraph =
    rest
      .join('\n')
      .trim()
      .split(/\n\s*\n/)[0] ?? '';
  const sentence = paragraph.replaceAll('\n', ' ').match(/^.+?[.?](?=\s|$)/)?.[0];
  return sentence ?? '';
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
