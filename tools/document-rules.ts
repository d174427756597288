// What must hold of every Markdown file: its size, its line length, and that what it points at is there.

import { existsSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { root } from './source-files.ts';

export interface Document {
  /** Relative to the project's root, with slashes. */
  path: string;
  text: string;
}

export interface DocumentRule {
  name: string;
  /** A sentence for each place that breaks the rule. */
  check(document: Document, isThere?: (path: string) => boolean): string[];
}

export const maxColumns = 120;
const maxLines: readonly [RegExp, number][] = [
  [/^ARCHITECTURE\.md$/, 300],
  [/^docs\/decisions\//, 60],
  [/(^|\/)README\.md$/, 150],
];

/** Folders whose files are named in backticks: such a name must be a path that exists. */
const ownPath =
  /`((?:src|bench|buildpacks|docs|examples|images|script|test|tools|api)\/[\w./-]*\w)`/g;
const link = /\]\(([^)\s]+)\)/g;

export const documentRules: DocumentRule[] = [
  {
    name: 'document-length',
    check: ({ path, text }) => {
      const limit = maxLines.find(([pattern]) => pattern.test(path))?.[1];
      const lines = text.trimEnd().split('\n').length;
      return limit !== undefined && lines > limit ? [`${lines} lines, at most ${limit}`] : [];
    },
  },
  {
    name: 'document-columns',
    check: ({ text }) =>
      proseLines(text).flatMap(({ line, number }) =>
        line.length > maxColumns ? [`line ${number}: longer than ${maxColumns} columns`] : [],
      ),
  },
  {
    name: 'broken-link',
    check: ({ path, text }, isThere = isInProject) =>
      [...withoutFences(text).matchAll(link)]
        .map((match) => (match[1] ?? '').split('#')[0] ?? '')
        .filter((target) => target !== '' && !/^[a-z]+:/.test(target))
        .filter((target) => !isThere(posix.join(dirname(path), target)))
        .map((target) => `links to ${target}, which is not there`),
  },
  {
    name: 'stale-path',
    check: ({ text }, isThere = isInProject) =>
      [...withoutFences(text).matchAll(ownPath)]
        .map((match) => match[1] ?? '')
        .filter((target) => !isThere(target))
        .map((target) => `names ${target}, which is not there`),
  },
];

function isInProject(path: string): boolean {
  return existsSync(join(root, path));
}

/** Lines that could be wrapped: no table rows, no code, no line that is one link. */
function proseLines(text: string): { line: string; number: number }[] {
  const lines = withoutFences(text).split('\n');
  return lines
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => !line.startsWith('|') && !/^\[[^\]]+\]: /.test(line));
}

/** The text with every fenced block emptied, so that line numbers stay. */
function withoutFences(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, (block) => block.replace(/[^\n]/g, ''));
}
