// The project's TypeScript files and what each imports: shared by the checks.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '..');

export interface Import {
  specifier: string;
  isTypeOnly: boolean;
  line: number;
}

export interface SourceFile {
  /** Relative to the project's root, with slashes. */
  path: string;
  text: string;
  imports: Import[];
}

/** Files git tracks or would track, so that build output never counts. */
export function listFiles(...patterns: string[]): string[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...patterns];
  const names = execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\n');
  return [...new Set(names)].filter((name) => name !== '' && isThere(name)).sort();
}

function isThere(name: string): boolean {
  try {
    readFileSync(join(root, name));
    return true;
  } catch {
    return false;
  }
}

export function readSources(...patterns: string[]): SourceFile[] {
  return listFiles(...patterns).map((path) => {
    const text = readFileSync(join(root, path), 'utf8');
    return { path, text, imports: importsOf(text) };
  });
}

const importPattern =
  /^[ \t]*(?:import|export)\s+(type\s+)?(?:[\w*{}\s,$]+?\s+from\s+)?['"]([^'"\n]+)['"]|\bimport\(\s*['"]([^'"\n]+)['"]\s*\)/gm;

/** `import`, `export from` and literal `import()`; `{ type A, type B }` counts as a type import. */
export function importsOf(text: string): Import[] {
  return [...text.matchAll(importPattern)].map((match) => ({
    specifier: match[2] ?? match[3] ?? '',
    isTypeOnly: match[1] !== undefined || hasOnlyTypes(match[0]),
    line: text.slice(0, match.index).split('\n').length,
  }));
}

function hasOnlyTypes(statement: string): boolean {
  const names = statement.match(/\{([^}]*)\}/)?.[1];
  if (names === undefined || /(import|export)\s+\w+\s*,/.test(statement)) return false;
  const list = names
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
  return list.length > 0 && list.every((name) => name.startsWith('type '));
}
