// Whose turn is it, and who stops after a failure.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { turnLimitMs } from '../config.ts';
import { nextStep, type Seen } from './next-step.ts';

const wanted = {
  id: 'upg-1',
  version: 'new',
  image: 'sha256:a',
  tag: 'gantry/system:new',
  askedAt: 0,
};

function seen(change: Partial<Seen> = {}): Seen {
  return {
    self: { hostId: 'host-b', version: 'old' },
    wanted,
    turn: undefined,
    turnAgeMs: 0,
    alive: new Map([
      ['host-a', 'new'],
      ['host-b', 'old'],
      ['host-c', 'old'],
    ]),
    outcome: undefined,
    copy: { state: 'settled' },
    ...change,
  };
}

const step = (change?: Partial<Seen>) => nextStep(seen(change), turnLimitMs);
const turnOf = (host: string, rest = {}) => ({ upgrade: 'upg-1', host, ...rest });

describe('an upgrade', () => {
  test('is nothing to do where nothing is wanted, or the version is there', () => {
    assert.deepEqual(step({ wanted: undefined }), { kind: 'nothing' });
    assert.deepEqual(step({ self: { hostId: 'host-b', version: 'new' } }), { kind: 'nothing' });
  });

  test('goes from host to host: the first that is alive and behind takes the turn', () => {
    assert.deepEqual(step(), { kind: 'take-turn' });
    const last = { hostId: 'host-c', version: 'old' };
    assert.deepEqual(step({ self: last }), { kind: 'wait', for: 'host-b' });
    const alive = new Map([['host-c', 'old']]);
    assert.deepEqual(step({ self: last, alive }), { kind: 'take-turn' });
  });

  test('waits for the host whose turn it is, but not for ever', () => {
    const turn = turnOf('host-c');
    assert.deepEqual(step({ turn }), { kind: 'wait', for: 'host-c' });
    assert.deepEqual(step({ turn, turnAgeMs: turnLimitMs }), { kind: 'take-turn' });
  });

  test('is carried on by the daemon that finds its own turn, and given back by the new one', () => {
    const turn = turnOf('host-b');
    assert.deepEqual(step({ turn }), { kind: 'replace' });
    const self = { hostId: 'host-b', version: 'new' };
    assert.deepEqual(step({ turn, self }), { kind: 'give-back' });
  });

  test('goes on to the next host when the copy of the store on this one is whole again', () => {
    const turn = turnOf('host-b');
    const self = { hostId: 'host-b', version: 'new' };
    const copy = { state: 'running', reason: 'the etcd here is being replaced' } as const;
    assert.deepEqual(step({ turn, self, copy }), { kind: 'wait', for: copy.reason });
    const other = { hostId: 'host-c', version: 'old' };
    assert.deepEqual(step({ turn, self: other }), { kind: 'wait', for: 'host-b' });
    const heldUp = { state: 'held-up', reason: 'the copies of c must answer first' } as const;
    assert.deepEqual(step({ turn, self, copy: heldUp }), { kind: 'give-back' });
  });

  test('ends where the copy of the store was put back: that is told once, and tried again when asked', () => {
    const self = { hostId: 'host-b', version: 'new' };
    const copy = { state: 'failed', reason: 'it did not serve' } as const;
    const told = { kind: 'tell-failure', failure: 'it did not serve' } as const;
    assert.deepEqual(step({ turn: turnOf('host-b'), self, copy }), told);
    const failed = turnOf('host-b', { failure: 'it did not serve' });
    assert.deepEqual(step({ turn: failed, self, copy }), { kind: 'nothing' });
    const earlier = { ...failed, upgrade: 'upg-0' };
    assert.deepEqual(step({ turn: earlier, self, copy }), told);
    assert.deepEqual(step({ turn: earlier, self }), { kind: 'give-back' });
  });

  test('that was put back is told once, and nobody else begins', () => {
    const outcome = { upgrade: 'upg-1', failure: 'it did not answer' };
    const turn = turnOf('host-b');
    const told = { kind: 'tell-failure', failure: 'it did not answer' } as const;
    assert.deepEqual(step({ turn, outcome }), told);
    const failed = turnOf('host-b', { failure: 'it did not answer' });
    assert.deepEqual(step({ turn: failed, outcome }), { kind: 'nothing' });
    const other = { hostId: 'host-c', version: 'old' };
    assert.deepEqual(step({ turn: failed, self: other }), { kind: 'nothing' });
  });

  test('that is asked for again is tried again, whatever became of the one before', () => {
    const outcome = { upgrade: 'upg-0', failure: 'it did not answer' };
    const turn = { upgrade: 'upg-0', host: 'host-c', failure: 'it did not answer' };
    assert.deepEqual(step({ turn, outcome }), { kind: 'take-turn' });
    const mine = { upgrade: 'upg-0', host: 'host-b' };
    assert.deepEqual(step({ turn: mine, outcome }), { kind: 'take-turn' });
  });
});
