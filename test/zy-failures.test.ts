// What is left of three machines when one loses its power, its cable or its daemon, or all lose their power? Requests to what is
// there go on, what was lost is back, and nothing is double afterwards. More of it, at random: `npm run soak -- failures`.

import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import {
  fillsDisk,
  hangsEngine,
  hasWrongClock,
  losesAll,
  losesDaemon,
  losesLink,
  losesMachine,
  losesStore,
  pauses,
} from './cluster/failures.ts';
import { Trial } from './cluster/trial.ts';

describe('three machines', () => {
  let trial: Trial;
  before(async () => {
    trial = await Trial.begin('failing');
  });
  beforeEach(() => trial.spread());
  afterEach(() => trial?.repair());
  after(() => trial?.end());
  const machine = (place: 0 | 1 | 2) => {
    const found = trial.bed.machines[place];
    if (!found) throw new Error(`there is no machine ${place}`);
    return found;
  };

  test('10 pauses of 3 s of a daemon or a cable move nothing', () => pauses(trial, 10));

  test('two that do not hear each other: requests go on, nobody is given up', () =>
    losesLink(trial, machine(1), machine(2)));

  test('a daemon that stands still: no request fails, and nothing is double when it goes on', () =>
    losesDaemon(trial, machine(1)));

  test('one whose disk is full goes on with what it has and says so; the others are unharmed', () =>
    fillsDisk(trial, machine(2)));

  test('one whose engine hangs: the same', () => hangsEngine(trial, machine(1)));

  test('one without power: replicas are back elsewhere, and nothing is left when it is back', () =>
    losesMachine(trial, machine(2), 'power'));

  test('one without its cable: the same', () => losesMachine(trial, machine(1), 'cable'));

  test('the one with the store without power: nothing is decided, all runs and is routed to', () =>
    losesStore(trial, [machine(0)]));

  test('one whose clock is 5 minutes ahead is named, and works like every other', () =>
    hasWrongClock(trial, machine(1), 300));

  test('all without power, and one late: everything is back without a person, 3 times of 3', async () => {
    await losesAll(trial, [machine(0), machine(1), machine(2)]);
    await losesAll(trial, [machine(2), machine(1), machine(0)]);
    await losesAll(trial, [machine(1), machine(0), machine(2)]);
  });
});
