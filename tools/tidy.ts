// House rules that the compiler and the linter do not know. Exceptions stand in tidy-exceptions.json and only get fewer.
// `--write` wraps documents that are too wide.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { componentsOf, isTest, packageOf, readArchitecture } from './check-architecture.ts';
import { documentRules, maxColumns } from './document-rules.ts';
import { listFiles, readSources, root, type SourceFile } from './source-files.ts';
import { wrapDocument } from './wrap-document.ts';

interface Rule {
  name: string;
  /** A sentence for each place that breaks the rule. */
  check(file: SourceFile): string[];
}

const bannedFolders = ['utils', 'lib', 'common', 'helpers', 'models', 'managers'];

export const rules: Rule[] = [
  {
    name: 'head-comment',
    check: ({ text }) =>
      /^(#!.*\n)?\/\/ \S/.test(text)
        ? []
        : ['the file does not begin with the question it answers'],
  },
  {
    name: 'file-name',
    check: ({ path }) =>
      path.split('/').every((part) => /^[a-z0-9.-]+$/.test(part))
        ? []
        : ['file and folder names are kebab-case'],
  },
  {
    name: 'junk-drawer',
    check: ({ path }) =>
      path.split('/').some((part) => bannedFolders.includes(part.replace(/\.ts$/, '')))
        ? [`no ${bannedFolders.join(', ')}: name the thing`]
        : [],
  },
  {
    name: 'last-word',
    check: (file) =>
      matches(
        file,
        /\b(?:class|interface|type)\s+\w*(?:Manager|Service|Helper|Processor|Util)\b/,
        'names nothing',
      ),
  },
  {
    name: 'unfinished',
    check: (file) =>
      matches(file, /\b(?:TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))/, 'needs an issue number: TODO(#1)'),
  },
  {
    name: 'skipped-test',
    check: (file) =>
      matches(
        file,
        /\b(?:test|it|describe)\.(?:only|todo)\b|\{\s*(?:only|skip|todo):\s*true/,
        'runs always or has a condition',
      ),
  },
  {
    name: 'swallowed-error',
    check: (file) =>
      matches(
        file,
        /catch\s*(?:\(\w*\))?\s*\{\s*\}|\.catch\(\(\)\s*=>\s*\{\s*\}\)/,
        'an error is handled or passed on',
      ),
  },
  {
    name: 'spread-literal',
    check: (file) => matches(file, /\.\.\.\{/, 'its properties stand there without it'),
  },
  {
    name: 'escape-hatch',
    check: (file) =>
      matches(file, /@ts-(?:ignore|nocheck|expect-error)/, 'the types are mended instead'),
  },
];

function matches({ path, text }: SourceFile, pattern: RegExp, why: string): string[] {
  if (path.startsWith('tools/tidy')) return [];
  return text.split('\n').flatMap((line, index) => {
    const found = line.match(pattern);
    return found ? [`line ${index + 1}: ${found[0].trim()}: ${why}`] : [];
  });
}

/** Text files must not name one machine's folders or a package registry. */
function checkPrivateNames(): string[] {
  const words = ['/' + 'work/', '/' + 'farm/'];
  const files = listFiles().filter((name) => !/\.(png|ico|gz|tar)$/.test(name));
  return files.flatMap((name) => {
    const text = readFileSync(join(root, name), 'utf8');
    return words.filter((word) => text.includes(word)).map((word) => `${name}: names ${word}`);
  });
}

/** Every component says what it is for. */
function checkReadmes(): string[] {
  return componentsOf(readArchitecture())
    .map((component) => `src/${component}/README.md`)
    .filter((path) => !existsSync(join(root, path)))
    .map((path) => `${path}: missing: picture, vocabulary, invariants, where to start reading`);
}

const dependenciesFile = 'docs/decisions/dependencies.md';

/** Every runtime package is used and has its line: why it is there and what it drags in. */
export function judgeDependencies(
  names: readonly string[],
  { record, imported }: { record: string; imported: ReadonlySet<string> },
): string[] {
  return names.flatMap((name) => [
    ...(record.includes(`| ${name} |`) ? [] : [`${dependenciesFile}: has no line for ${name}`]),
    ...(imported.has(name) ? [] : [`package.json: nothing that runs imports ${name}`]),
  ]);
}

function checkDependencies(): string[] {
  const text = readFileSync(join(root, 'package.json'), 'utf8');
  const { dependencies } = JSON.parse(text) as { dependencies: Record<string, string> };
  const record = readFileSync(join(root, dependenciesFile), 'utf8');
  const files = readSources('src/**/*.ts', 'bin/*.ts').filter(({ path }) => !isTest(path));
  const imports = files.flatMap((file) => file.imports.map(({ specifier }) => specifier));
  const imported = new Set(imports.map(packageOf));
  return judgeDependencies(Object.keys(dependencies), { record, imported });
}

export interface Finding {
  rule: string;
  path: string;
  problems: string[];
}

/** Problems of files that are not excused, and excuses that are no longer needed: the list only gets shorter. */
export function judge(
  findings: readonly Finding[],
  exceptions: Readonly<Record<string, readonly string[]>>,
): string[] {
  const problems = findings.flatMap(({ rule, path, problems: found }) =>
    exceptions[rule]?.includes(path) ? [] : found.map((text) => `${path}: ${rule}: ${text}`),
  );
  const broken = new Set(
    findings.filter((each) => each.problems.length > 0).map(({ rule, path }) => `${rule} ${path}`),
  );
  const idle = Object.entries(exceptions).flatMap(([rule, paths]) =>
    paths
      .filter((path) => !broken.has(`${rule} ${path}`))
      .map((path) => `${path}: no longer breaks ${rule}: remove the exception`),
  );
  return [...problems, ...idle];
}

function findAll(): Finding[] {
  const code = readSources('*.ts').flatMap((file) =>
    rules.map(({ name, check }) => ({ rule: name, path: file.path, problems: check(file) })),
  );
  const documents = listFiles('*.md').flatMap((path) => {
    const text = readFileSync(join(root, path), 'utf8');
    return documentRules.map(({ name, check }) => ({
      rule: name,
      path,
      problems: check({ path, text }),
    }));
  });
  return [...code, ...documents];
}

/** The named ones, or all. */
function wrapDocuments(names: readonly string[]): void {
  const others = names.filter((path) => !path.endsWith('.md'));
  if (others.length > 0) throw new Error(`only documents (.md) are wrapped: ${others.join(', ')}`);
  for (const path of names.length > 0 ? names : listFiles('*.md')) {
    const text = readFileSync(join(root, path), 'utf8');
    const wrapped = wrapDocument(text, maxColumns);
    if (wrapped !== text) writeFileSync(join(root, path), wrapped);
  }
}

function main(): void {
  const [first, ...names] = process.argv.slice(2);
  if (first === '--write') wrapDocuments(names);
  const exceptionsFile = join(root, 'tools/tidy-exceptions.json');
  const exceptions = JSON.parse(readFileSync(exceptionsFile, 'utf8')) as Record<string, string[]>;
  const problems = [
    ...checkPrivateNames(),
    ...checkReadmes(),
    ...checkDependencies(),
    ...judge(findAll(), exceptions),
  ];
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log('tidy: nothing to mend');
}

if (import.meta.main) main();
