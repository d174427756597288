// What the engine has of ours, kept in memory: one list after each (re)connection, then its events.
// While the engine is away the last state stays: unknown is not dead.

import type { Log } from '#core/log';
import { attemptOf, labels } from './labels.ts';
import type { Container, EngineEvent, Runtime } from './runtime/runtime.ts';

export interface EngineViewOptions {
  runtime: Runtime;
  clusterId: string;
  log: Log;
  /** Called after a container of the job changed; undefined: anything may have changed. */
  onChange(jobId: string | undefined): void;
}

const order = { created: 0, running: 1, exited: 2 } as const;

export class EngineView {
  readonly #options: EngineViewOptions;
  readonly #byId = new Map<string, Container>();
  readonly #byJob = new Map<string, readonly Container[]>();
  readonly #looking = new Map<string, Promise<void>>();
  isSynced = false;

  constructor(options: EngineViewOptions) {
    this.#options = options;
  }

  /** Oldest attempt first. */
  of(jobId: string): readonly Container[] {
    return this.#byJob.get(jobId) ?? [];
  }

  jobIds(): IterableIterator<string> {
    return this.#byJob.keys();
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Reads everything; throws when the engine is away, and then changes nothing. */
  async resync(): Promise<void> {
    const { runtime, clusterId, onChange } = this.#options;
    // One that is created while the engine makes its list may be missing there, and is not gone.
    const knownBefore = [...this.#byId.keys()];
    const found = await runtime.list({ [labels.cluster]: clusterId });
    const ids = new Set(found.map(({ id }) => id));
    for (const id of knownBefore) if (!ids.has(id)) this.#drop(id);
    for (const container of found) this.#put(container);
    this.isSynced = true;
    onChange(undefined);
  }

  /** Reads one container again; looks at the same one wait for each other, so that the last answer is the newest. */
  async refresh(id: string): Promise<void> {
    const before = this.#looking.get(id) ?? Promise.resolve();
    const look = before.catch(() => undefined).then(() => this.#look(id));
    this.#looking.set(id, look);
    try {
      await look;
    } finally {
      if (this.#looking.get(id) === look) this.#looking.delete(id);
    }
  }

  /** The container was removed. */
  forget(id: string): void {
    const jobId = this.#drop(id);
    if (jobId !== undefined) this.#options.onChange(jobId);
  }

  /** Follows the engine's events until the signal fires. The stream reconnects by itself. */
  async follow(signal: AbortSignal, onResync: () => void): Promise<void> {
    const { runtime, clusterId } = this.#options;
    for await (const event of runtime.events({ [labels.cluster]: clusterId }, signal))
      await this.#apply(event, onResync);
  }

  async #apply(event: EngineEvent, onResync: () => void): Promise<void> {
    if (event.type === 'resync') return onResync();
    if (event.action === 'destroy') return this.forget(event.id);
    try {
      await this.refresh(event.id);
    } catch (error) {
      this.#options.log.warn({ err: error, container: event.id }, 'cannot look at a container');
      onResync();
    }
  }

  async #look(id: string): Promise<void> {
    const container = await this.#options.runtime.inspect(id);
    if (!container) return this.forget(id);
    if (container.labels[labels.cluster] !== this.#options.clusterId) return;
    this.#put(container);
    this.#options.onChange(container.labels[labels.job]);
  }

  #put(container: Container): void {
    const jobId = container.labels[labels.job];
    if (jobId === undefined) return;
    const known = this.#byId.get(container.id);
    if (known && order[known.state] > order[container.state]) return;
    this.#byId.set(container.id, container);
    const others = this.of(jobId).filter(({ id }) => id !== container.id);
    const all = [...others, container].sort((a, b) => attemptOf(a) - attemptOf(b));
    this.#byJob.set(jobId, all);
  }

  #drop(id: string): string | undefined {
    const jobId = this.#byId.get(id)?.labels[labels.job];
    this.#byId.delete(id);
    if (jobId === undefined) return undefined;
    const rest = this.of(jobId).filter((container) => container.id !== id);
    if (rest.length > 0) this.#byJob.set(jobId, rest);
    else this.#byJob.delete(jobId);
    return jobId;
  }
}
