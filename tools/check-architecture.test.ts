// Does the check of imports find each kind of import that architecture.json does not allow?

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type Architecture,
  checkCycles,
  checkFile,
  componentOf,
  componentsOf,
} from './check-architecture.ts';
import { importsOf } from './source-files.ts';

const architecture: Architecture = {
  layers: { core: [], layer0: ['core', 'layer0'], layer1: ['core', 'layer0', 'layer1'] },
  components: { layer0: ['daemon', 'host', 'store'], layer1: ['controller'] },
  doors: ['client', 'wire'],
  testDoors: ['client', 'wire', 'index', 'fake'],
  composers: ['layer0/daemon'],
  packages: { core: ['fastify'], 'layer0/host': ['tar-stream', '@scope/pack'] },
  childProcesses: ['layer0/host'],
  acyclic: ['layer1'],
};

function problemsOf(path: string, text: string): string[] {
  return checkFile({ path, text, imports: importsOf(text) }, architecture).map(
    ({ line, message }) => `${line}: ${message}`,
  );
}

test('a file belongs to the component of its folder', () => {
  assert.equal(componentOf('src/layer0/store/decide/x.ts', architecture), 'layer0/store');
  assert.equal(componentOf('src/core/clock.ts', architecture), 'core');
  assert.equal(componentOf('tools/tidy.ts', architecture), undefined);
  assert.deepEqual(componentsOf(architecture), [
    ...['core', 'layer0/daemon', 'layer0/host', 'layer0/store', 'layer1/controller'],
  ]);
});

test('imports of the platform, of core, of doors and of a sibling are allowed', () => {
  const text = [
    "import { join } from 'node:path';",
    "import { newId } from '#core/ids';",
    "import type { Store } from '#layer0/store/client';",
    "import { hostErrors } from './errors.ts';",
    "import { pack } from 'tar-stream';",
    "import { unpack } from '@scope/pack/sub';",
  ].join('\n');
  assert.deepEqual(problemsOf('src/layer0/host/loop.ts', text), []);
});

test('layer 0 may not import layer 1, not even its types', () => {
  const text = "import type { Release } from '#layer1/controller/wire';";
  assert.deepEqual(problemsOf('src/layer0/host/loop.ts', text), [
    '1: layer0 may not import layer1',
  ]);
});

test('core imports nothing of ours but core', () => {
  assert.deepEqual(problemsOf('src/core/log.ts', "import { a } from '#layer0/store/client';"), [
    '1: core may not import layer0',
  ]);
  assert.deepEqual(problemsOf('src/core/log.ts', "import { a } from '#core/ids';"), [
    '1: core imports core by relative path',
  ]);
});

test('another component is entered only through its doors', () => {
  const text = "import { openSqlite } from '#layer0/store/sqlite-ledger';";
  assert.match(
    problemsOf('src/layer0/host/loop.ts', text)[0] ?? '',
    /is no door: use client, wire/,
  );
});

test('tests and composers may enter through the wider doors', () => {
  const text = "import { openSqliteStore } from '#layer0/store/index';";
  assert.equal(problemsOf('src/layer0/host/loop.ts', text).length, 1);
  assert.deepEqual(problemsOf('src/layer0/host/loop.test.ts', text), []);
  assert.deepEqual(problemsOf('src/layer0/daemon/index.ts', text), []);
});

test('a relative import may not leave its component', () => {
  assert.match(
    problemsOf('src/layer0/host/loop.ts', "import { a } from '../store/client.ts';")[0] ?? '',
    /leaves the component/,
  );
});

test('an import of a file that is not there is named', () => {
  assert.deepEqual(problemsOf('src/layer0/host/loop.ts', "import { a } from './absent.ts';"), [
    '1: ./absent.ts does not exist',
  ]);
  assert.deepEqual(problemsOf('src/layer0/host/loop.ts', "import { a } from '#core/absent';"), [
    '1: #core/absent does not exist',
  ]);
});

test('a package is imported only where it is listed, in a multi-line import too', () => {
  const text = "// head\nimport {\n  fastify,\n} from 'fastify';";
  assert.deepEqual(problemsOf('src/core/http-server.ts', text), []);
  assert.deepEqual(problemsOf('src/layer0/store/http.ts', text), [
    '2: layer0/store may not import the package fastify',
  ]);
});

test('a dynamic import counts', () => {
  const text = "const { pack } = await import('tar-stream');";
  assert.equal(problemsOf('src/layer0/store/http.ts', text).length, 1);
});

test('child processes are started only where that is listed', () => {
  const text = "import { spawn } from 'node:child_process';";
  assert.deepEqual(problemsOf('src/layer0/host/firewall.ts', text), []);
  assert.deepEqual(problemsOf('src/layer0/store/ledger.ts', text), [
    '1: layer0/store may not start child processes',
  ]);
});

test('a folder that architecture.json does not know fails', () => {
  assert.match(problemsOf('src/layer0/volumes/index.ts', '')[0] ?? '', /is not a component/);
  assert.match(problemsOf('src/plugins/index.ts', '')[0] ?? '', /is not a layer/);
});

test('the environment is read in core/config only', () => {
  const text = 'const home = process.env.HOME;';
  assert.equal(problemsOf('src/layer0/host/loop.ts', text).length, 1);
  assert.deepEqual(problemsOf('src/core/config.ts', text), []);
  assert.deepEqual(problemsOf('src/layer0/host/loop.test.ts', text), []);
});

test('decide/ is pure: no time, no chance, no waiting, no world', () => {
  for (const text of [
    'const at = Date.now();',
    'const at = new Date();',
    'const chance = Math.random();',
    'async function plan() {}',
    'const value = await read();',
    "import { readFile } from 'node:fs/promises';",
    'setTimeout(next, 5);',
  ])
    assert.equal(problemsOf('src/layer0/host/decide/plan.ts', text).length, 1, text);
});

test('decide/ may speak of impure things in comments, and compute with what it is given', () => {
  const text = '// not Date.now()\n/** The caller awaits: await it. */\nconst at = new Date(now);';
  assert.deepEqual(problemsOf('src/layer0/host/decide/plan.ts', text), []);
});

describe('components of a layer without cycles', () => {
  const wide: Architecture = {
    ...architecture,
    components: { layer0: ['host', 'store'], layer1: ['builder', 'controller', 'logs'] },
  };
  const aFile = (path: string, ...specifiers: string[]) => {
    const text = specifiers.map((specifier) => `import type { A } from '${specifier}';`).join('\n');
    return { path: `src/${path}`, text, imports: importsOf(text) };
  };
  const cyclesOf = (...files: ReturnType<typeof aFile>[]) =>
    checkCycles(files, wide).map(({ path, line }) => `${path}:${line}`);

  test('may not call each other, not even for a type', () => {
    const files = [
      aFile('layer1/builder/names.ts', '#core/ids', '#layer1/controller/wire'),
      aFile('layer1/controller/builds.ts', '#layer1/builder/client'),
    ];
    assert.deepEqual(cyclesOf(...files), [
      'src/layer1/builder/names.ts:2',
      'src/layer1/controller/builds.ts:1',
    ]);
  });

  test('may not call each other through a third', () => {
    const files = [
      aFile('layer1/builder/a.ts', '#layer1/controller/wire'),
      aFile('layer1/controller/b.ts', '#layer1/logs/wire'),
      aFile('layer1/logs/c.ts', '#layer1/builder/wire'),
    ];
    assert.equal(cyclesOf(...files).length, 3);
  });

  test('may call in one direction; tests and other layers are not looked at', () => {
    const files = [
      aFile('layer1/controller/a.ts', '#layer1/builder/client', '#layer1/logs/wire'),
      aFile('layer1/logs/b.test.ts', '#layer1/controller/wire'),
      aFile('layer0/host/c.ts', '#layer0/store/client'),
      aFile('layer0/store/d.ts', '#layer0/host/wire'),
    ];
    assert.deepEqual(cyclesOf(...files), []);
  });
});
