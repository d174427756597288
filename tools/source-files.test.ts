// Are imports read out of a text as the compiler would?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importsOf } from './source-files.ts';

const specifiersOf = (text: string) => importsOf(text).map(({ specifier }) => specifier);

test('every way to import is seen, with its line', () => {
  const text = [
    "import 'side-effect';",
    "import { a } from './a.ts';",
    "export { b } from './b.ts';",
    "export * from './c.ts';",
    'import {',
    '  d,',
    "} from './d.ts';",
    "const e = await import('./e.ts');",
  ].join('\n');
  assert.deepEqual(
    importsOf(text).map(({ specifier, line }) => [specifier, line]),
    [
      ['side-effect', 1],
      ['./a.ts', 2],
      ['./b.ts', 3],
      ['./c.ts', 4],
      ['./d.ts', 5],
      ['./e.ts', 8],
    ],
  );
});

test('an import of types only is told from one of values', () => {
  const isTypeOnly = (text: string) => importsOf(text)[0]?.isTypeOnly;
  assert.equal(isTypeOnly("import type { A } from './a.ts';"), true);
  assert.equal(isTypeOnly("import { type A, type B } from './a.ts';"), true);
  assert.equal(isTypeOnly("import { type A, b } from './a.ts';"), false);
  assert.equal(isTypeOnly("export type { A } from './a.ts';"), true);
});

test('words in strings and calls that look like imports are not', () => {
  assert.deepEqual(specifiersOf("const text = 'no import here';\nimportant('x');"), []);
});
