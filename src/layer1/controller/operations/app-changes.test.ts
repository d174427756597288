// Who waits is woken by what changed, and by nothing else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import type { ObserveListener, Observer } from '../observe.ts';
import { AppChanges } from './app-changes.ts';

function aWait() {
  const listeners = new Set<ObserveListener>();
  const listen = (listener: ObserveListener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const clock = new FakeClock();
  const changes = new AppChanges({ observer: { listen } as unknown as Observer, clock }, 'app-1');
  const tell = (app: string | undefined) => {
    for (const { changed } of listeners) changed(app);
  };
  const seen = { wakes: 0 };
  const wait = (signal: AbortSignal, limitMs?: number) =>
    changes.next(signal, limitMs).then(() => {
      seen.wakes++;
    });
  return { clock, changes, tell, wait, seen, listeners };
}

const { signal } = new AbortController();

test('a wait ends with a change of its app, and time alone does not end it', async () => {
  const { clock, tell, wait, seen } = aWait();
  const waiting = wait(signal);
  await clock.advance(3_600_000);
  tell('app-2');
  await clock.advance(1);
  assert.deepEqual([seen.wakes, clock.nextAt()], [0, undefined]);
  tell('app-1');
  await waiting;
});

test('a change that comes between two waits is not missed, and wakes once', async () => {
  const { clock, tell, wait, seen } = aWait();
  tell(undefined);
  tell('app-1');
  await wait(signal);
  void wait(signal);
  await clock.advance(1);
  assert.equal(seen.wakes, 1);
});

test('a limit ends the wait, the signal fails it, and nobody listens after the end', async () => {
  const { clock, changes, wait, listeners } = aWait();
  const limited = wait(signal, 500);
  await clock.advance(500);
  await limited;
  const caller = new AbortController();
  const cancelled = wait(caller.signal);
  caller.abort();
  await assert.rejects(cancelled, { code: 'core.aborted' });
  await assert.rejects(wait(caller.signal), { code: 'core.aborted' });
  changes[Symbol.dispose]();
  assert.equal(listeners.size, 0);
});
