// Until when may this machine run singletons? For as long as its lease surely lasts, counted from before it asked for it. What is
// written down here is what the fence goes by (fence.ts), whether this process is there or not.

import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '#core/clock';
import { hasCode } from '#core/errors';
import { leaseFile, readUptimeMs, singletonFolder } from './fence.ts';

/** Where it is kept; in memory for tests and the simulator. */
export interface TenureBook {
  /** Of the machine, in milliseconds. */
  uptimeMs(): Promise<number>;
  /** 0 where nothing was ever said since the machine was started. */
  readUntil(): Promise<number>;
  say(untilMs: number): Promise<void>;
  guard(containerId: string): Promise<void>;
  /** Takes the guards of all other containers away. */
  keep(containerIds: ReadonlySet<string>): Promise<void>;
}

export interface TenureDeps {
  book: TenureBook;
  leaseMs: number;
  clock: Clock;
  /** No other machine could start anything: there is nothing to fence. */
  isAlone(): boolean;
  /** It began, or it is over: every singleton is to be looked at. */
  onChange(): void;
}

export class Tenure {
  readonly #deps: TenureDeps;
  /** By this process's monotonic clock. */
  #untilMs = 0;
  /** Records at least as new as the lease have been seen: what they say was true when it began. */
  #isCurrent = false;
  #term = 0;
  #timer: Timer | undefined;

  constructor(deps: TenureDeps) {
    this.#deps = deps;
  }

  /** What an earlier life of the daemon was granted still counts for what it started. */
  async load(): Promise<void> {
    const { book, clock } = this.#deps;
    const leftMs = (await book.readUntil()) - (await book.uptimeMs());
    this.#setUntil(clock.monotonicMs() + leftMs);
  }

  /** What runs must be ended. */
  get isOver(): boolean {
    return this.#deps.clock.monotonicMs() >= this.#untilMs;
  }

  /** Something may be started. */
  get isHeld(): boolean {
    return this.#isCurrent && !this.isOver;
  }

  /** A new lease, asked for at `sentAtMs`: it counts once the records that it was given beside are here. */
  begin(sentAtMs: number, recordsSeen: Promise<void>): void {
    const term = ++this.#term;
    this.#isCurrent = false;
    recordsSeen
      .then(async () => {
        if (term !== this.#term) return;
        this.#isCurrent = true;
        await this.renew(sentAtMs);
        this.#deps.onChange();
      })
      // The mirror has ended, and this process with it; or the folder cannot be written: nothing is held then.
      .catch(() => this.end());
  }

  /** The lease is known to last from `sentAtMs` on. */
  async renew(sentAtMs: number): Promise<void> {
    if (!this.#isCurrent) return;
    const { book, clock, leaseMs, isAlone } = this.#deps;
    const leftMs = isAlone() ? aloneMs : sentAtMs + leaseMs - clock.monotonicMs();
    // First on paper: nothing is started that the fence does not know the end of.
    await book.say(Math.floor((await book.uptimeMs()) + leftMs));
    this.#setUntil(clock.monotonicMs() + leftMs);
  }

  /** The lease is gone; what it was granted for lasts as long as it was. */
  end(): void {
    this.#term++;
    this.#isCurrent = false;
  }

  guard(containerId: string): Promise<void> {
    return this.#deps.book.guard(containerId);
  }

  keep(containerIds: ReadonlySet<string>): Promise<void> {
    return this.#deps.book.keep(containerIds);
  }

  stop(): void {
    this.end();
    this.#timer?.cancel();
  }

  #setUntil(untilMs: number): void {
    this.#untilMs = untilMs;
    this.#timer?.cancel();
    const leftMs = untilMs - this.#deps.clock.monotonicMs();
    if (leftMs > maxTimerMs) return;
    this.#timer = this.#deps.clock.timer(Math.max(0, leftMs) + 1, () => this.#deps.onChange());
  }
}

/** Longer than any machine is on. */
const aloneMs = 100 * 365 * 24 * 3_600_000;
/** Longer than any lease: no timer is needed for what is as good as for ever. */
const maxTimerMs = 3_600_000;

export function createTenureBook(folder: string): TenureBook {
  const lease = join(folder, leaseFile);
  const guards = join(folder, singletonFolder);
  const write = async (untilMs: number) => {
    await mkdir(folder, { recursive: true });
    await writeFile(`${lease}.new`, String(untilMs));
    await rename(`${lease}.new`, lease);
  };
  /** A new lease and a renewal may be said at once: one takes the other's file away, unless they take turns. */
  let last = Promise.resolve();
  return {
    uptimeMs: () => readUptimeMs(),
    async readUntil() {
      try {
        return Number(await readFile(lease, 'utf8'));
      } catch (error) {
        if (hasCode(error, 'ENOENT')) return 0;
        throw error;
      }
    },
    say(untilMs) {
      const said = last.then(() => write(untilMs));
      // Whoever said it hears of its failure; the next one is written all the same.
      last = said.catch(() => undefined);
      return said;
    },
    async guard(containerId) {
      await mkdir(guards, { recursive: true });
      await writeFile(join(guards, containerId), '');
    },
    async keep(containerIds) {
      const names = await readdir(guards).catch((error: unknown) => {
        if (hasCode(error, 'ENOENT')) return [];
        throw error;
      });
      for (const name of names)
        if (!containerIds.has(name)) await rm(join(guards, name), { force: true });
    },
  };
}

/** For tests, and where there is no machine. */
export function createMemoryBook(clock: Pick<Clock, 'monotonicMs'>): TenureBook & {
  readonly guarded: ReadonlySet<string>;
} {
  let untilMs = 0;
  const guarded = new Set<string>();
  return {
    guarded,
    uptimeMs: async () => clock.monotonicMs(),
    readUntil: async () => untilMs,
    say: async (until) => {
      untilMs = until;
    },
    guard: async (id) => {
      guarded.add(id);
    },
    keep: async (ids) => {
      for (const id of guarded) if (!ids.has(id)) guarded.delete(id);
    },
  };
}
