// Does the parser take what the registry says, and refuse the rest with a sentence that helps?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Arguments, parseArguments } from './arguments.ts';
import { nearest } from './nearest.ts';
import { commands, describeCommands, findCommand } from './registry.ts';

function parse(...words: string[]): Arguments {
  const found = findCommand(words);
  assert.ok(found, `there is a command ${words.join(' ')}`);
  return parseArguments(found.spec, found.rest);
}

test('a colon and a space name the same command, and so do the names of Heroku', () => {
  for (const words of [['env', 'set'], ['env:set'], ['config:set'], ['config', 'set']])
    assert.equal(findCommand([...words, 'A=1'])?.spec.name, 'env set');
  for (const [alias, name] of [
    ['apps:create', 'create'],
    ['ps:scale', 'scale'],
    ['logs', 'log'],
    ['releases:rollback', 'release rollback'],
    ['rollback', 'release rollback'],
  ])
    assert.equal(findCommand([alias ?? ''])?.spec.name, name);
});

test('no name belongs to two commands', () => {
  const names = commands.flatMap(({ name, aliases = [] }) =>
    [name, ...aliases].map((one) => one.replaceAll(':', ' ')),
  );
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  );
});

test('short options can be glued together and to their value', () => {
  const args = parse('log', '-ft', 'web', '-n50', '--app=shop');
  assert.equal(args.has('follow'), true);
  assert.equal(args.text('type'), 'web');
  assert.equal(args.number('lines', [0, 100]), 50);
  assert.equal(args.text('app'), 'shop');
});

test('words after a double dash are words', () => {
  assert.deepEqual(parse('env', 'set', '-a', 'shop', '--', '-x=1').words, ['-x=1']);
});

test('run hands everything after its first word over, options too', () => {
  const args = parse('run', '-d', '-e', 'A=1', '-e', 'B=2', 'ls', '-la', '--json', '--', 'x');
  assert.deepEqual(args.words, ['ls', '-la', '--json', '--', 'x']);
  assert.deepEqual(args.texts('env'), ['A=1', 'B=2']);
  assert.equal(args.has('detach'), true);
  assert.deepEqual(parse('run', '--', '-x').words, ['-x']);
  assert.deepEqual(parse('run', '-a', 'shop').words, []);
});

const refusals: [string[], RegExp][] = [
  [['ps', '--jsno'], /gantry ps has no option --jsno; did you mean --json\?/],
  [['ps', '--constructor'], /has no option --constructor/],
  [['log', '-q'], /gantry log has no option -q; see gantry log --help/],
  [['ps', '-a'], /-a needs a value: APP/],
  [['ps', '--json=yes'], /--json takes no value/],
  [['ps', '-a', 'x', '-a', 'y'], /-a is given twice/],
  [['env', 'get'], /needs more to go on; usage: gantry env get NAME/],
  [['env', 'get', 'A', 'B'], /does not know what to do with "B"/],
];
for (const [words, message] of refusals)
  test(`gantry ${words.join(' ')} is refused with a sentence that helps`, () => {
    assert.throws(() => parse(...words), { code: 'cli.usage', message });
  });

test('a number that is none is refused by name and limits', () => {
  for (const text of ['x', '-1', '1.5', '101', '1e3', ''])
    assert.throws(() => parse('log', `--lines=${text}`).number('lines', [0, 100]), {
      code: 'cli.usage',
      message: /is not a whole number from 0 to 100/,
    });
});

test('help is given however wrong the rest of the line is', () => {
  assert.equal(parse('env', 'get', '--help').has('help'), true);
});

test('the nearest word is the one with the fewest slips, and far ones are none', () => {
  const verbs = ['deploy', 'deployment', 'delete', 'ps', 'scale', 'log'];
  assert.equal(nearest('dploy', verbs), 'deploy');
  assert.equal(nearest('sclae', verbs), 'scale');
  assert.equal(nearest('p', verbs), 'ps');
  assert.equal(nearest('kubectl', verbs), undefined);
});

test('the description of every command is complete enough to make a page of', () => {
  const docs = describeCommands();
  assert.ok(docs.length > 30);
  assert.equal(
    docs.some(({ name }) => name.startsWith('__')),
    false,
  );
  for (const { name, summary, usage, options, examples } of docs) {
    assert.match(summary, /^[A-Z][^.]+$/, name);
    assert.ok(usage.startsWith(`gantry ${name}`), usage);
    assert.ok(options.every(({ flags, doc }) => flags.includes('--') && doc.length > 3));
    assert.ok(examples.length > 0 && examples.every((example) => example.includes('gantry')), name);
  }
});

test('every example is a line that the parser accepts', () => {
  for (const { examples } of describeCommands())
    for (const example of examples) {
      const line = / ?gantry ([^<>&|]+)/.exec(example.replace(/^.*\| /, ''))?.[1] ?? '';
      if (/[()']/.test(example)) continue;
      parse(...line.trim().split(' '));
    }
});
