// What a Procfile and a bin/release may say, and how a bad one is answered.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chooseCommands, parseProcfile, parseRelease } from './process-types.ts';

const badLine = (message: RegExp) => ({ code: 'builder.badProcfile', message });

describe('a Procfile', () => {
  test('is lines of type and command; colons in the command, comments and empty lines are fine', () => {
    const text =
      '\uFEFF# what runs\r\nweb: node server.js --at http://x:80\r\n\r\n worker :  npm run work \n';
    assert.deepEqual(parseProcfile(text), {
      web: 'node server.js --at http://x:80',
      worker: 'npm run work',
    });
  });

  test('names the line that is wrong', () => {
    assert.throws(() => parseProcfile('web: a\nnode b'), badLine(/line 2: "node b" is not/));
    assert.throws(() => parseProcfile('Web: a'), badLine(/line 1: "Web" cannot be/));
    assert.throws(() => parseProcfile('web:'), badLine(/line 1: the type web has no command/));
    assert.throws(
      () => parseProcfile('web: a\nweb: b'),
      badLine(/line 2: the type web is there twice/),
    );
    assert.throws(() => parseProcfile('web: a\0b'), badLine(/zero byte/));
    assert.throws(() => parseProcfile('\n# nothing\n'), badLine(/empty/));
  });

  test('with too many types is refused', () => {
    const lines = Array.from({ length: 31 }, (_, index) => `t${index}: run`);
    assert.throws(
      () => parseProcfile(lines.join('\n')),
      badLine(/31 process types; 30 is the limit/),
    );
  });

  test('cannot put control characters of its author into our message', () => {
    assert.throws(() => parseProcfile('\x1b[31mred'), badLine(/"\?\[31mred"/));
  });

  test('cannot name a type that JavaScript gives a meaning', () => {
    assert.throws(() => parseProcfile('__proto__: a'), badLine(/cannot be a process type/));
    assert.deepEqual(Object.keys(parseProcfile('constructor: a')), ['constructor']);
  });
});

describe('bin/release', () => {
  test('gives default process types, and nothing else of it is read', () => {
    const text =
      '---\naddons: []\ndefault_process_types:\n  web: "npm start"\n  Bad Name: x\nconfig_vars:\n  KEY: value\n';
    assert.deepEqual(parseRelease(text), { web: 'npm start' });
  });

  test('counts only where there is no Procfile', () => {
    const release = 'default_process_types:\n  web: npm start\n';
    assert.deepEqual(chooseCommands(undefined, release), { web: 'npm start' });
    assert.deepEqual(chooseCommands('worker: x', release), { worker: 'x' });
    assert.throws(() => chooseCommands(undefined, '---\n'), { code: 'builder.noProcess' });
  });
});
