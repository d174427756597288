// Who listens for whom, what counts as silence and what does not, and what a real kernel answers.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { describe, test } from 'node:test';
import { systemClock } from '#core/clock';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { Hearing } from './decide/hearing.ts';
import { createFailureDetector, type Peer } from './index.ts';
import { createAsk } from './probe.ts';
import { watchedBy, watchersOf, watchersPerHost } from './wire.ts';

describe('who listens for whom', () => {
  test('is the same answer from both sides, in clusters of any size', () => {
    for (let size = 1; size <= 9; size++) {
      const ids = Array.from({ length: size }, (_, place) => `h${place}`);
      for (const one of ids)
        for (const other of ids)
          assert.equal(
            watchersOf(one, ids).includes(other),
            watchedBy(other, ids).includes(one),
            `${other} for ${one} of ${size}`,
          );
    }
  });

  test('is three others of each, or all there are', () => {
    const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
    assert.deepEqual(watchersOf('e', ids), ['f', 'a', 'b']);
    assert.deepEqual(watchersOf('b', ['a', 'b']), ['a']);
    assert.deepEqual(watchedBy('a', ['a']), []);
    assert.equal(watchersOf('not there', ids).length, watchersPerHost);
  });
});

describe('what is heard', () => {
  const limits = { silentAfter: 3, deafAfter: 2 };

  function hear(...answers: [string, boolean][]): Hearing {
    const hearing = new Hearing(limits);
    hearing.keep(['h2', 'h3']);
    for (const [id, isAnswered] of answers) hearing.note(id, isAnswered);
    return hearing;
  }
  const times = (count: number, id: string, isAnswered: boolean) =>
    Array.from({ length: count }, (): [string, boolean] => [id, isAnswered]);
  const both: [string, boolean][] = [
    ['h2', true],
    ['h3', true],
  ];

  test('one that answered is silent after so many questions, and no more when it answers', () => {
    assert.deepEqual(hear(...both, ...times(2, 'h3', false)).silent(), []);
    const hearing = hear(...both, ...times(3, 'h3', false));
    assert.deepEqual(hearing.silent(), ['h3']);
    hearing.note('h3', true);
    assert.deepEqual(hearing.silent(), []);
  });

  test('one that never answered is not silent: it may not be there yet', () => {
    assert.deepEqual(hear(['h2', true], ...times(9, 'h3', false)).silent(), []);
  });

  test('who hears nobody is the one that is cut off, and counts anew when it hears somebody', () => {
    const hearing = hear(...both, ...times(5, 'h3', false), ...times(5, 'h2', false));
    assert.deepEqual(hearing.silent(), []);
    hearing.note('h2', true);
    assert.deepEqual(hearing.silent(), [], 'h3 had no chance to be heard');
    for (const [id, isAnswered] of times(3, 'h3', false)) hearing.note(id, isAnswered);
    assert.deepEqual(hearing.silent(), ['h3']);
  });

  test('one that is not listened for any more is forgotten', () => {
    const hearing = hear(...both, ...times(3, 'h3', false));
    hearing.keep(['h2']);
    assert.deepEqual(hearing.silent(), []);
  });

  test('with 0 there is no silence', () => {
    const hearing = new Hearing({ silentAfter: 0, deafAfter: 2 });
    hearing.keep(['h2', 'h3']);
    for (const [id, isAnswered] of [...both, ...times(9, 'h3', false)])
      hearing.note(id, isAnswered);
    assert.deepEqual(hearing.silent(), []);
  });
});

/** Three machines, h1 listening: who is off answers nothing. */
function aCluster() {
  const clock = new FakeClock();
  const off = new Set<string>();
  let members = ['h2', 'h3'];
  const watches = new Set<() => void>();
  const detector = createFailureDetector(
    {
      peers: () => members.map((hostId): Peer => ({ hostId, address: '127.0.0.1', port: 1 })),
      watchPeers: (callback) => {
        watches.add(callback);
        return () => watches.delete(callback);
      },
      clock,
      log: silentLog,
      ask: async ({ hostId }, withinMs) => {
        if (!off.has(hostId)) return true;
        await clock.sleep(withinMs);
        return false;
      },
    },
    { hostId: 'h1', hostSilentMs: 4_500 },
  );
  const join = (...ids: string[]) => {
    members = ids;
    for (const callback of watches) callback();
  };
  return { clock, off, detector, join };
}

describe('a machine that listens', () => {
  test('tells of a power cut within six seconds, and of the return', async () => {
    const { clock, off, detector } = aCluster();
    const told: string[] = [];
    detector.onChange(() => told.push(detector.silent().join()));
    await detector.start();
    await clock.advance(10_000);
    off.add('h3');
    await clock.advance(6_000);
    assert.deepEqual(told, ['h3']);
    off.clear();
    await clock.advance(2_000);
    assert.deepEqual(told, ['h3', '']);
    await detector.stop();
  });

  test('says nothing of three seconds, whenever they begin', async () => {
    const { clock, off, detector } = aCluster();
    const told: string[] = [];
    detector.onChange(() => told.push(detector.silent().join()));
    await detector.start();
    for (let turn = 0; turn < 50; turn++) {
      off.add('h3');
      await clock.advance(3_000);
      off.clear();
      await clock.advance(1_000 + 37 * turn);
    }
    assert.deepEqual(told, []);
    await detector.stop();
  });

  test('follows who belongs to the cluster, and asks nobody once it has stopped', async () => {
    const { clock, off, detector, join } = aCluster();
    await detector.start();
    await clock.advance(2_000);
    off.add('h3');
    await clock.advance(6_000);
    join('h2');
    assert.deepEqual(detector.silent(), []);
    assert.deepEqual(detector.status(), {
      failureDetector: { listensFor: ['h2'], silent: [] },
    });
    await detector.stop();
    await clock.advance(5_000);
    assert.equal(clock.nextAt(), undefined);
  });
});

describe('a real kernel', () => {
  const ask = createAsk(systemClock);
  const limit = { timeout: 60_000 };

  async function aListener(): Promise<{ server: Server; port: number }> {
    const server = createServer((socket) => socket.on('error', () => socket.destroy()));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const bound = server.address();
    assert.ok(bound !== null && typeof bound === 'object');
    return { server, port: bound.port };
  }

  test('answers where somebody listens, and where nobody does', limit, async () => {
    const { server, port } = await aListener();
    const peer = { hostId: 'h2', address: '127.0.0.1', port };
    assert.equal(await ask(peer, 30_000), true);
    server.close();
    await once(server, 'close');
    assert.equal(await ask(peer, 30_000), true);
  });

  test('that no way leads to does not answer', limit, async () => {
    // A link-local address without its link.
    assert.equal(await ask({ hostId: 'h2', address: 'fe80::1', port: 1 }, 50), false);
  });
});
