// What does `gantry doctor` say of a cluster that is well, of one that is not, and of one that does not answer?

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { coreErrors } from '#core/errors';
import type { Check } from '../api.ts';
import { TestBed } from '../test-bed.ts';

let bed: TestBed;
beforeEach(async () => {
  bed = await new TestBed().start();
});
afterEach(() => bed.stop());

const member = { hostId: 'h1', name: 'eins', address: '10.0.0.1' };

test('the doctor names containers that no record knows, and says what to do', async () => {
  const unknownContainers = { count: 3, names: ['gantry-shop-web-1-aaaaaa-1'] };
  bed.host.memberReports = async () => [{ ...member, report: { unknownContainers } }];
  const { items } = await bed.ok<{ items: Check[] }>('GET', '/doctor');
  const [found, ...others] = items.filter(({ isOk }) => !isOk);
  assert.match(found?.message ?? '', /^gantry-shop-web-1-aaaaaa-1 and 2 more: .*docker rm -f/);
  assert.deepEqual(others, []);
});

test('the doctor names a DNS process that does not answer', async () => {
  const dns = { address: '10.64.0.1', isAnswering: false };
  bed.host.memberReports = async () => [{ ...member, report: { dns } }];
  const { items } = await bed.ok<{ items: Check[] }>('GET', '/doctor');
  const found = items.filter(({ isOk }) => !isOk).map(({ message }) => message);
  assert.equal(found.length, 1);
  assert.match(found[0] ?? '', /^nothing answers at 10\.64\.0\.1:53, .*docker logs gantry-dns/);
});

test('the doctor finds nothing wrong with a healthy platform, and names what is', async () => {
  await bed.deployShop();
  await bed.step(1_000);
  const healthy = await bed.ok<{ items: Check[] }>('GET', '/doctor');
  assert.deepEqual(
    healthy.items.filter(({ isOk }) => !isOk),
    [],
  );
  bed.host.memberReports = async () => {
    throw coreErrors.unreachable('no answer at host.sock');
  };
  const sick = await bed.ok<{ items: Check[] }>('GET', '/doctor');
  assert.deepEqual(
    sick.items.filter(({ isOk }) => !isOk).map(({ message }) => message),
    ['no answer at host.sock'],
  );
});

test('the doctor waits for a store that says nothing once, not once for each check', async () => {
  const { list } = bed.store;
  bed.store.list = () => new Promise(() => undefined);
  try {
    const asked = bed.ok<{ items: Check[] }>('GET', '/doctor');
    let isAnswered = false;
    void asked.then(() => {
      isAnswered = true;
    });
    for (let turn = 0; turn < 50 && !isAnswered; turn++) await bed.clock.advance(100);
    assert.ok(isAnswered, 'within 5 s of the clock');
    const late = (await asked).items.filter(({ message }) => message === 'no answer within 4 s');
    assert.ok(late.length >= 2, 'each says so');
  } finally {
    bed.store.list = list;
  }
});
