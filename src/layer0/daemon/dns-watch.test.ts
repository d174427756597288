// What the daemon says of the DNS process beside it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { DnsWatch } from './dns-watch.ts';

test('tells whether DNS answers, and says nothing while there is no network to answer for', async () => {
  const clock = new FakeClock();
  let address: string | undefined;
  let isUp = true;
  const asked: string[] = [];
  const watch = new DnsWatch({
    address: async () => address,
    connects: async (host, port) => {
      asked.push(`${host}:${port}`);
      return isUp;
    },
    clock,
    random: () => 0.5,
    log: silentLog,
  });
  watch.loop.start();
  await clock.advance(0);
  assert.equal(watch.report(), undefined);
  address = '10.64.0.1';
  await clock.advance(10_000);
  assert.deepEqual(watch.report(), { address, isAnswering: true });
  isUp = false;
  await clock.advance(10_000);
  assert.deepEqual(watch.report(), { address, isAnswering: false });
  assert.deepEqual(new Set(asked), new Set(['10.64.0.1:53']));
  await watch.loop.stop();
});
