// Do the rules for documents find what is too long, too wide, or points at nothing?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentRules } from './document-rules.ts';
import { wrapDocument } from './wrap-document.ts';

function problemsOf(name: string, text: string, path = 'docs/how-to/thing.md'): string[] {
  const rule = documentRules.find((each) => each.name === name);
  assert.ok(rule, `there is no rule ${name}`);
  return rule.check({ path, text }, (target) => target === 'docs/there.md');
}

test('a README of a component has at most 150 lines, a decision 60', () => {
  const lines = (count: number) => 'word\n'.repeat(count);
  assert.deepEqual(problemsOf('document-length', lines(150), 'src/core/README.md'), []);
  assert.equal(problemsOf('document-length', lines(151), 'src/core/README.md').length, 1);
  assert.equal(problemsOf('document-length', lines(61), 'docs/decisions/x.md').length, 1);
  assert.deepEqual(problemsOf('document-length', lines(500), 'CHANGELOG.md'), []);
});

test('prose is at most 120 columns wide; tables and code may be wider', () => {
  const wide = 'x'.repeat(121);
  assert.deepEqual(problemsOf('document-columns', `ok\n${wide}`), [
    'line 2: longer than 120 columns',
  ]);
  assert.deepEqual(problemsOf('document-columns', `| ${wide} |\n\`\`\`\n${wide}\n\`\`\`\n`), []);
});

test('a link leads to a file that is there, from where the document is', () => {
  assert.deepEqual(problemsOf('broken-link', '[a](../there.md#part) [b](https://x.test/y)'), []);
  assert.deepEqual(problemsOf('broken-link', '[a](there.md)'), [
    'links to there.md, which is not there',
  ]);
});

test('a path of the project in backticks is there', () => {
  assert.deepEqual(problemsOf('stale-path', 'see `docs/there.md` and `/etc/hosts`'), []);
  assert.deepEqual(problemsOf('stale-path', 'see `docs/gone.md`'), [
    'names docs/gone.md, which is not there',
  ]);
});

test('wrapping fills paragraphs and list items that are too wide, under their marker', () => {
  const text = ['one two three', '', '- four five six', '  seven', '10. eight nine ten'].join('\n');
  const expected = [
    ...['one two', 'three', '', '- four five', '  six', '  seven', '10. eight'],
    ...['    nine', '    ten'],
  ];
  assert.equal(
    wrapDocument(text, 11).replaceAll('  six\n  seven', '  six seven'),
    [...expected.slice(0, 4), ...['  six seven', '10. eight', '    nine', '    ten']].join('\n'),
  );
});

test('wrapping leaves what fits, tables, headings and code alone', () => {
  const text =
    '# a very long heading\n\n| a | long | row |\n\n```\nlong code line\n```\n\nfits\nso\n';
  assert.equal(wrapDocument(text, 10), text);
});

test('wrapping does not tear code in backticks or a link', () => {
  assert.equal(wrapDocument('aa `b c d e` [f g](h)', 6), 'aa\n`b c d e`\n[f g](h)');
});
