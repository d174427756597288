// What an executor works with: one app as it was seen, and the proof of leadership.

import type { Clock } from '#core/clock';
import type { Random } from '#core/random';
import type { Compare, Entry, Store } from '#layer0/store/client';
import type { SchedulerPort } from '../context.ts';
import type { Observer } from '../observe.ts';
import type { ReleaseCache } from '../view.ts';
import type { App } from '../wire.ts';

export interface ActContext {
  app: Entry<App>;
  fence: Compare;
  store: Store;
  observer: Observer;
  releases: ReleaseCache;
  scheduler: SchedulerPort;
  clock: Clock;
  random: Random;
}
