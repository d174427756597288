// The store in memory: the same decisions, watches, leases and elections as the real one, and nothing to clean up.
// Commits happen in microtasks; the only timer is one of the injected clock, and only while leases are held.

import { type Clock, systemClock } from '#core/clock';
import { newId } from '#core/ids';
import { type Log, silentLog } from '#core/log';
import { type Random, systemRandom } from '#core/random';
import type { EmbeddedStore } from './embedded-store.ts';
import { LocalStore } from './local-store.ts';
import { MemoryLedger } from './memory-ledger.ts';

export interface MemoryStoreOptions {
  clock?: Clock;
  random?: Random;
  log?: Log;
  incarnation?: string;
}

export function createMemoryStore(options: MemoryStoreOptions = {}): EmbeddedStore {
  const { clock = systemClock, random = systemRandom, log = silentLog } = options;
  const incarnation =
    options.incarnation ??
    newId(
      'inc',
      Uint8Array.from({ length: 16 }, () => random() * 256),
    );
  const ledger = new MemoryLedger(incarnation);
  return new LocalStore({ ledger, clock, random, log, defer: queueMicrotask });
}
