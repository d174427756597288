// Does an image get to a second machine, and to no more than needed, whatever the others do?

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { silentLog } from '#core/log';
import { type Others, spreadFromHolder, spreadImage } from './spread.ts';

/** Machines by id: what each does when it is asked for the image. */
type Machines = Record<string, 'has it' | 'takes it' | 'is full' | 'is silent'>;

function scripted(machines: Machines) {
  const asked: string[] = [];
  const others: Others = {
    list: () => Object.keys(machines),
    async holds(host) {
      if (machines[host] === 'is silent') throw new Error('no answer');
      return machines[host] === 'has it';
    },
    async bring(host) {
      asked.push(host);
      if (machines[host] === 'is full') throw new Error('no space left');
      return machines[host] === 'takes it';
    },
    async spread(host) {
      return [`spread by ${host}`];
    },
  };
  return { others, asked };
}

async function spread(machines: Machines, known: string[] = []) {
  const { others, asked } = scripted(machines);
  return {
    holders: await spreadImage(others, 'sha256:a', { holders: known, log: silentLog }),
    asked,
  };
}

describe('an image that is released', () => {
  test('goes to one other machine, and to none when one has it', async () => {
    const taken = { holders: ['b'], asked: ['b'] };
    assert.deepEqual(await spread({ b: 'takes it', c: 'takes it' }), taken);
    assert.deepEqual(await spread({ b: 'takes it', c: 'has it' }), { holders: ['c'], asked: [] });
  });

  test('goes to nobody when a registry on another machine has it', async () => {
    assert.deepEqual(await spread({ b: 'takes it', c: 'takes it' }, ['c']), {
      holders: ['c'],
      asked: [],
    });
    // A registry on this very machine is no second one.
    const own = await spread({ b: 'takes it' }, ['a']);
    assert.deepEqual(own, { holders: ['b'], asked: ['b'] });
  });

  test('but was built elsewhere is spread by whoever holds it', async () => {
    const { others } = scripted({ b: 'is silent', c: 'takes it', d: 'has it' });
    assert.deepEqual(await spreadFromHolder(others, 'sha256:a'), ['d', 'spread by d']);
    assert.deepEqual(await spreadFromHolder(scripted({ b: 'takes it' }).others, 'sha256:a'), []);
  });

  test('passes over machines that are silent or full', async () => {
    const machines = { b: 'is silent', c: 'is full', d: 'takes it' } as const;
    assert.deepEqual(await spread(machines), { holders: ['d'], asked: ['c', 'd'] });
  });

  test('stays alone where nobody else can take it', async () => {
    assert.deepEqual(await spread({}), { holders: [], asked: [] });
    assert.deepEqual(await spread({ b: 'is silent' }), { holders: [], asked: [] });
  });
});
