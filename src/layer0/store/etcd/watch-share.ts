// Watchers of one prefix share one stream of etcd. Each is a position, not a queue: one that falls further behind than the
// batches kept here leaves, and goes on with a stream of its own.

import type { WatchBatch } from '../wire.ts';

/** Batches kept for watchers who are behind, and most bytes of their values. */
const recentBatches = 512;
const recentBytes = 2 * 1024 * 1024;

export interface SizedBatch {
  batch: WatchBatch;
  /** Of the values in it. */
  bytes: number;
}

export interface SharedRead {
  /** Batches after this revision. */
  from: number;
  /** A stream of etcd from there, for whoever is the first. */
  follow(signal: AbortSignal): AsyncIterable<SizedBatch>;
  signal: AbortSignal;
}

/** By a name that says the prefix, and the life of the store that it is of. */
export class WatchShares {
  readonly #shares = new Map<string, WatchShare>();

  /** Reads with the others for as long as it keeps up; how far it came. */
  async *read(
    name: string,
    { from, follow, signal }: SharedRead,
  ): AsyncGenerator<WatchBatch, number> {
    const share = this.#shares.get(name) ?? this.#make(name, from, follow);
    if (!share.covers(from)) return from;
    share.readers++;
    try {
      return yield* share.read(from, signal);
    } finally {
      share.readers--;
      if (share.readers === 0) {
        this.#forget(name, share);
        share.close();
      }
    }
  }

  #make(name: string, from: number, follow: SharedRead['follow']): WatchShare {
    const made = new WatchShare(from, follow, () => this.#forget(name, made));
    this.#shares.set(name, made);
    return made;
  }

  #forget(name: string, share: WatchShare): void {
    if (this.#shares.get(name) === share) this.#shares.delete(name);
  }
}

export class WatchShare {
  /** Who reads; the last one out closes it. */
  readers = 0;
  readonly #stop = new AbortController();
  readonly #wakers = new Set<() => void>();
  #recent: SizedBatch[] = [];
  #bytes = 0;
  /** All after this revision is kept here or still to come. */
  #start: number;
  #ended: { error: unknown } | undefined;

  /** `onEnd` is called when the stream has ended: nobody new may read. */
  constructor(
    from: number,
    follow: (signal: AbortSignal) => AsyncIterable<SizedBatch>,
    onEnd: () => void,
  ) {
    this.#start = from;
    void this.#pump(follow(this.#stop.signal), onEnd);
  }

  covers(position: number): boolean {
    return position >= this.#start;
  }

  /** Batches after a position; returns how far it came when the signal fires or the reader has fallen behind. */
  async *read(from: number, signal: AbortSignal): AsyncGenerator<WatchBatch, number> {
    let position = from;
    while (!signal.aborted && this.covers(position)) {
      const next = this.#after(position);
      if (next) {
        position = next.revision.revision;
        yield next;
      } else if (this.#ended) throw this.#ended.error;
      else await this.#news(signal);
    }
    return position;
  }

  close(): void {
    this.#stop.abort();
  }

  async #pump(source: AsyncIterable<SizedBatch>, onEnd: () => void): Promise<void> {
    let error: unknown;
    try {
      for await (const sized of source) this.#keep(sized);
    } catch (cause) {
      error = cause;
    }
    this.#ended = { error };
    onEnd();
    this.#wake();
  }

  #keep(sized: SizedBatch): void {
    this.#recent.push(sized);
    this.#bytes += sized.bytes;
    while (this.#recent.length > recentBatches || this.#bytes > recentBytes) {
      const oldest = this.#recent.shift();
      if (!oldest) break;
      this.#bytes -= oldest.bytes;
      this.#start = oldest.batch.revision.revision;
    }
    this.#wake();
  }

  /** The first kept batch after a position: most readers want the last. */
  #after(position: number): WatchBatch | undefined {
    let found: WatchBatch | undefined;
    for (let index = this.#recent.length - 1; index >= 0; index--) {
      const batch = this.#recent[index]?.batch;
      if (!batch || batch.revision.revision <= position) break;
      found = batch;
    }
    return found;
  }

  #news(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#wakers.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#wakers.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  #wake(): void {
    for (const wake of [...this.#wakers]) wake();
  }
}
