// What a daemon says of its machine and of the others, and that an answer always comes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coreErrors } from '#core/errors';
import { FakeClock } from '#core/fake-clock';
import { answerLimitMs, findFailing, reportMachine } from './machine-report.ts';
import { reportMembers } from './members-report.ts';

const never = () => new Promise<never>(() => undefined);

test('a machine whose store and engine hang says so when their time is over', async () => {
  const clock = new FakeClock();
  const deps = { store: { get: never }, runtime: { info: never }, home: '/', clock };
  const pending = reportMachine({ ...deps, certificateEndsAt: () => 7 }, {});
  await clock.advance(answerLimitMs);
  const { engine, storeAnswer, certificateEndsAt, disk } = await pending;
  const silent = { isAnswering: false, message: 'no answer within 1.5 s' };
  assert.deepEqual([engine, storeAnswer, certificateEndsAt], [silent, silent, 7]);
  assert.ok((disk?.totalBytes ?? 0) > 0);
});

test('loops that keep failing are found wherever a component says them', () => {
  const loop = { isRunning: false, runs: 9, name: 'network' };
  const lastError = { code: 'x', message: 'no bridge', retry: true };
  const status = {
    loop: { ...loop, failuresInRow: 3, lastError },
    loops: [{ ...loop, name: 'collect', failuresInRow: 1, lastError }],
  };
  assert.deepEqual(findFailing(status), [{ name: 'network', message: 'no bridge' }]);
});

test('all machines are asked at once; one that does not answer is named, and clocks are compared', async () => {
  const clock = new FakeClock();
  const now = clock.now();
  const peers = {
    list: () =>
      ['eins', 'zwei', 'drei', 'vier'].map((name) => ({
        hostId: name,
        name,
        address: name,
        port: 1,
      })),
    client: (hostId: string) => ({
      async json<T>(): Promise<T> {
        if (hostId === 'drei') throw coreErrors.unreachable('the link is cut');
        if (hostId === 'vier') return never();
        await clock.sleep(100);
        return { version: 'b', now: now + 5_050 } as T;
      },
    }),
  };
  const self = { hostId: 'eins', name: 'eins', address: 'eins' };
  const report = async () => ({ version: 'a' });
  const askKernel = async ({ hostId }: { hostId: string }, withinMs: number) => {
    if (hostId === 'vier') await clock.sleep(withinMs);
    return hostId !== 'vier';
  };
  const pending = reportMembers({ self, peers, askKernel, report, clock });
  await clock.advance(100);
  await clock.advance(2_000);
  const reports = await pending;
  assert.deepEqual(
    reports.map(({ name, report, error }) => [name, report?.version ?? error]),
    [
      ['eins', 'a'],
      ['zwei', 'b'],
      ['drei', 'the link is cut'],
      ['vier', 'nothing there answers within 2 s, not even its kernel'],
    ],
  );
  assert.deepEqual([reports[1]?.clockAheadMs, reports[1]?.roundTripMs], [5_000, 100]);
});
