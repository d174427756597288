// Does each rule find a text that breaks it, and leave one alone that does not?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, judgeDependencies, rules } from './tidy.ts';

/** Words that would break the rules if this file held them in one piece. */
const [todo, fixme, only, ignore] = ['TO' + 'DO', 'FIX' + 'ME', 'on' + 'ly', '@ts-ig' + 'nore'];
const [emptyCatch, silentCatch] = ['cat' + 'ch {}', '.cat' + 'ch(() => {})'];
const drawer = 'Ho' + 'stManager';

function problemsOf(name: string, text: string, path = 'src/core/thing.ts'): string[] {
  const rule = rules.find((each) => each.name === name);
  assert.ok(rule, `there is no rule ${name}`);
  return rule.check({ path, text, imports: [] });
}

function assertRule(name: string, { breaks, keeps }: { breaks: string[]; keeps: string[] }): void {
  for (const text of breaks) assert.notDeepEqual(problemsOf(name, text), [], `passes: ${text}`);
  for (const text of keeps) assert.deepEqual(problemsOf(name, text), [], `fails: ${text}`);
}

test('a file begins with the question it answers', () => {
  assertRule('head-comment', {
    breaks: ["import 'x';", '/* block */', '//', '#!/usr/bin/env node\nimport'],
    keeps: ['// What is it?\n', '#!/usr/bin/env node\n// What is it?\n'],
  });
});

test('files and folders are kebab-case', () => {
  assert.equal(problemsOf('file-name', '', 'src/core/fakeClock.ts').length, 1);
  assert.equal(problemsOf('file-name', '', 'src/Core/clock.ts').length, 1);
  assert.deepEqual(problemsOf('file-name', '', 'src/core/fake-clock.test.ts'), []);
});

test('no folder or file is a junk drawer', () => {
  assert.equal(problemsOf('junk-drawer', '', 'src/core/utils.ts').length, 1);
  assert.equal(problemsOf('junk-drawer', '', 'src/lib/clock.ts').length, 1);
  assert.deepEqual(problemsOf('junk-drawer', '', 'src/core/library.ts'), []);
});

test('a type is not named by an empty last word', () => {
  assertRule('last-word', {
    breaks: [`class ${drawer} {}`, `export interface ${drawer} {}`],
    keeps: ['class Host {}', 'interface ServiceName {}', 'type Managers = string[];'],
  });
});

test('unfinished work names its issue', () => {
  assertRule('unfinished', {
    breaks: [`// ${todo}: later`, `// ${fixme}`],
    keeps: [`// ${todo}(#12): later`, '// to do'],
  });
});

test('a test runs always or has a condition', () => {
  assertRule('skipped-test', {
    breaks: [`test.${only}('x')`, `it.${only}('x')`, `test('x', { sk` + 'ip: true }, run)'],
    keeps: ["test('x', { skip: !isRoot }, run)", "test('only one', run)"],
  });
});

test('an error is handled or passed on', () => {
  assertRule('swallowed-error', {
    breaks: [`try { a() } ${emptyCatch}`, `a()${silentCatch}`],
    keeps: ['try { a() } catch (error) { report(error) }', 'a().catch(report)'],
  });
});

test('the compiler is not silenced', () => {
  assertRule('escape-hatch', {
    breaks: [`// ${ignore}`],
    keeps: ['// ts-node ignores it'],
  });
});

test('what is spread into an object is not written there', () => {
  assertRule('spread-literal', {
    breaks: ['const a = { ...' + '{ b, c }, d };'],
    keeps: ['const a = { b, c, d };', 'const a = { ...b, ...(c ? { d } : {}) };'],
  });
});

test('the line of a broken rule is named', () => {
  assert.match(problemsOf('unfinished', `// head\n\n// ${todo}`)[0] ?? '', /^line 3: /);
});

test('an exception excuses one file from one rule', () => {
  const findings = [
    { rule: 'a', path: 'x.ts', problems: ['bad'] },
    { rule: 'a', path: 'y.ts', problems: ['bad'] },
    { rule: 'b', path: 'x.ts', problems: [] },
  ];
  assert.deepEqual(judge(findings, { a: ['x.ts'] }), ['y.ts: a: bad']);
});

test('an exception that nothing needs any more is a problem', () => {
  const findings = [{ rule: 'a', path: 'x.ts', problems: [] }];
  assert.match(judge(findings, { a: ['x.ts'] })[0] ?? '', /no longer breaks a/);
  assert.match(judge([], { a: ['deleted.ts'] })[0] ?? '', /no longer breaks a/);
});

test('a runtime package has its line in the record, and something imports it', () => {
  const facts = { record: '| fastify | HTTP |\n| ws | sockets |', imported: new Set(['fastify']) };
  assert.deepEqual(judgeDependencies(['fastify'], facts), []);
  assert.deepEqual(judgeDependencies(['ws'], facts), [
    'package.json: nothing that runs imports ws',
  ]);
  assert.match(judgeDependencies(['pino'], facts)[0] ?? '', /has no line for pino/);
});
