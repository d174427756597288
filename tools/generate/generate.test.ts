// Do the generators say all that the code registers, in a stable order, and warn of routes that say too little?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberSetting, textSetting } from '#core/config';
import { Type } from '#core/schema';
import { type Architecture, usesOf } from '../check-architecture.ts';
import { importsOf } from '../source-files.ts';
import {
  beginMark,
  endMark,
  questionOf,
  renderComponents,
  replaceBetweenMarks,
} from './components.ts';
import { describeApi, standIn } from './open-api.ts';
import { renderCommands, renderConfiguration, renderErrors, settingsOf } from './reference.ts';

const architecture: Architecture = {
  layers: { core: [], layer0: ['core', 'layer0'] },
  components: { layer0: ['host', 'store'] },
  doors: ['client', 'wire'],
  testDoors: [],
  composers: [],
  packages: { 'layer0/host': ['tar-stream'] },
  childProcesses: [],
  acyclic: [],
};

function aFile(path: string, text: string) {
  return { path, text, imports: importsOf(text) };
}

const api = { title: 'Test', description: 'A test.', version: '1', needsToken: false };

interface Shape {
  paths: Record<string, Record<string, { security?: unknown; responses: Record<string, unknown> }>>;
}

async function describe(more: Partial<Parameters<typeof describeApi>[0]>) {
  const { text, warnings } = await describeApi({ ...api, register: () => undefined, ...more });
  return { text, warnings, document: JSON.parse(text) as Shape };
}

test('an OpenAPI document has every route with its answer and the common error', async () => {
  const { document, warnings } = await describe({
    register: (server) =>
      server.get(
        '/things/:id',
        { schema: { summary: 'One thing', response: { 200: Type.Object({ id: Type.String() }) } } },
        () => standIn,
      ),
  });
  const { responses } = document.paths['/things/{id}']?.get ?? { responses: {} };
  assert.deepEqual(Object.keys(responses), ['200', 'default']);
  assert.deepEqual(warnings, []);
});

test('paths are in order of their name, whatever the order of their registration', async () => {
  const { document } = await describe({
    register: (server) => {
      for (const path of ['/b', '/c', '/a']) server.get(path, () => standIn);
    },
  });
  assert.deepEqual(Object.keys(document.paths), ['/a', '/b', '/c']);
});

test('a route without summary or answer is a warning', async () => {
  const { warnings } = await describe({ register: (server) => server.get('/a', () => standIn) });
  assert.deepEqual(warnings, ['GET /a: no summary', 'GET /a: no response schema']);
});

test('operations need the token but for the open ones', async () => {
  const { document } = await describe({
    needsToken: true,
    open: ['/healthz'],
    register: (server) => {
      server.get('/healthz', () => standIn);
      server.get('/apps', () => standIn);
    },
  });
  assert.deepEqual(document.paths['/apps']?.get?.security, [{ token: [] }]);
  assert.equal(document.paths['/healthz']?.get?.security, undefined);
});

test('errors are listed by component with status, retry and advice', () => {
  const text = renderErrors([
    ['core.invalid', { status: 400, retry: false, doc: 'Mend the body.' }],
    ['store.full', { status: 507, retry: true, doc: 'Free a|b.' }],
  ]);
  assert.match(text, /## core\n[^#]*\| `core\.invalid` \| 400 \| no \| Mend the body\. \|/);
  assert.match(text, /## store\n[^#]*\| `store\.full` \| 507 \| yes \| Free a\\\|b\. \|/);
});

test('settings are told from other exports of a config file', () => {
  const port = numberSetting({ env: 'PORT', doc: 'Where.', fallback: 1, min: 0, max: 9 });
  const name = textSetting({ env: 'NAME', doc: 'Who.' });
  assert.deepEqual(
    settingsOf({ port, name })?.map(({ env }) => env),
    ['PORT', 'NAME'],
  );
  for (const other of [10, 'text', undefined, null, {}, { a: 1 }, () => 1])
    assert.equal(settingsOf(other), undefined);
});

test('a setting without default is required, an empty one says so', () => {
  const settings = [
    { env: 'A', doc: 'One.' },
    { env: 'B', doc: 'Two.', fallback: '' },
    { env: 'C', doc: 'Three.', fallback: 3 },
  ];
  const text = renderConfiguration([{ component: 'layer0/x', settings }]);
  assert.match(text, /`A` \| required \| One\./);
  assert.match(text, /`B` \| empty \| Two\./);
  assert.match(text, /`C` \| `3` \| Three\./);
});

test('a command is described with its usage, aliases, options and examples', () => {
  const text = renderCommands([
    {
      name: 'env set',
      aliases: ['config:set'],
      group: 'Apps',
      summary: 'Set config',
      usage: 'gantry env set NAME=VALUE...',
      options: [{ flags: '-a, --app', doc: 'which' }],
      examples: ['gantry env set A=1'],
    },
  ]);
  for (const part of ['## Apps', '### env set', 'Also: `config:set`.', '| `-a, --app` | which |'])
    assert.ok(text.includes(part), `${part} is missing`);
  assert.ok(text.includes('gantry env set A=1'));
});

test('a component calls those whose doors its own files import, tests left out', () => {
  const sources = [
    aFile('src/layer0/host/loop.ts', "import type { Store } from '#layer0/store/client';"),
    aFile('src/layer0/host/errors.ts', "import { defineErrors } from '#core/errors';"),
    aFile('src/layer0/store/x.test.ts', "import { a } from '#layer0/host/client';"),
  ];
  assert.deepEqual(usesOf('layer0/host', architecture, sources), ['layer0/store']);
  assert.deepEqual(usesOf('layer0/store', architecture, sources), []);
});

test('the table has a row for every component of architecture.json', () => {
  const table = renderComponents(architecture, [], (component) => `# ${component}: what is it?`);
  assert.match(table, /\[layer0\/host\]\(src\/layer0\/host\/README\.md\) \| What is it\? \|/);
  assert.match(table, /\| tar-stream \|/);
  assert.equal(table.split('\n').length, 2 + 3);
});

test('what a component is for stands in the title of its README or in its first sentence', () => {
  assert.equal(questionOf('# store: what is true?\n\nMore.'), 'What is true?');
  assert.equal(questionOf('# store\n\nWhat is\ntrue? And more.\n'), 'What is true?');
  assert.equal(questionOf('# store\n'), '');
});

test('only what stands between the marks is replaced', () => {
  const text = `before\n${beginMark}\nold\n${endMark}\nafter\n`;
  const once = replaceBetweenMarks(text, 'new');
  assert.equal(once, `before\n${beginMark}\nnew\n${endMark}\nafter\n`);
  assert.equal(replaceBetweenMarks(once, 'new'), once);
  assert.throws(() => replaceBetweenMarks('no marks', 'new'), /marks/);
});
