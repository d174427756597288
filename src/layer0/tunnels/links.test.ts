// When is a machine away, and when do the connections to it end?

import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { coreErrors } from '#core/errors';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { limits } from './config.ts';
import { Links } from './links.ts';

const host = 'host-b';
const { pingEveryMs, pingTimeoutMs, endAfterMs } = limits;
/** Two pings: the stated bound. */
const boundMs = 9_000;

let clock: FakeClock;
let links: Links;
/** How long the machine takes for an answer. */
let answerMs: number;
/** How long it takes until it is known that there will be none. */
let failMs: number;
let changes: boolean[];
let ended: number;

beforeEach(() => {
  clock = new FakeClock();
  [answerMs, failMs, changes, ended] = [1, pingTimeoutMs, [], 0];
  const ping = async () => {
    const isLate = answerMs >= failMs;
    await clock.sleep(isLate ? failMs : answerMs);
    if (isLate) throw coreErrors.timeout('no answer');
  };
  const onChange = () => void changes.push(links.isAway(host));
  links = new Links({ ping, onChange, pingEveryMs, endAfterMs, clock, log: silentLog });
  const release = links.guard(host, () => {
    ended++;
    release();
  });
});

describe('a machine with open connections', () => {
  test('is away once a ping is not answered, and what is open goes on', async () => {
    answerMs = Infinity;
    await clock.advance(pingEveryMs + pingTimeoutMs);
    assert.deepEqual([links.isAway(host), changes, ended], [true, [true], 0]);
  });

  test('loses nothing when one answer is late and the next is not', async () => {
    answerMs = Infinity;
    await clock.advance(pingEveryMs);
    answerMs = 1;
    await clock.advance(pingTimeoutMs + 1);
    assert.deepEqual([links.isAway(host), changes, ended], [false, [true, false], 0]);
    await clock.advance(60_000);
    assert.equal(ended, 0);
  });

  test('loses them within the bound when it stays silent', async () => {
    answerMs = Infinity;
    await clock.advance(boundMs);
    assert.equal(ended, 1);
    assert.deepEqual(changes, [true]);
  });

  test('loses none while its daemon begins anew and refuses for a moment', async () => {
    [answerMs, failMs] = [Infinity, 1];
    await clock.advance(endAfterMs - 1_000);
    assert.deepEqual([links.isAway(host), ended], [true, 0]);
    await clock.advance(boundMs);
    assert.equal(ended, 1);
  });

  test('loses none because this daemon stood still itself', async () => {
    [answerMs, failMs] = [Infinity, 30_000];
    await clock.advance(pingEveryMs + 30_000 - 1);
    answerMs = 1;
    await clock.advance(60_000);
    assert.deepEqual([changes, ended], [[true, false], 0]);
  });
});

test('a machine that somebody doubts is asked at once', async () => {
  [answerMs, failMs] = [Infinity, 1];
  links.doubt(host);
  await clock.advance(1);
  assert.equal(links.isAway(host), true);
  answerMs = 0;
  await clock.advance(pingEveryMs);
  assert.equal(links.isAway(host), false);
});
