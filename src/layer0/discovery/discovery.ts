// The one implementation of the door: a publisher for what is ours and a directory of what is everybody's.

import { createMirror, type Mirror, type Revision, type WatchEvent } from '#layer0/store/client';
import type {
  ConsumerHandle,
  Directory,
  DiscoveryClient,
  DiscoveryDeps,
  InstanceRef,
  ServiceCallbacks,
  Unsubscribe,
} from './client.ts';
import { diffInstances } from './decide/changes.ts';
import { type DrainAnswer, decideDrain } from './decide/drain.ts';
import { leaderOf } from './decide/leader.ts';
import { seenFrom } from './decide/seen-from.ts';
import { discoveryErrors } from './errors.ts';
import { Publisher } from './publisher.ts';
import {
  type Consumer,
  consumerKey,
  consumerPrefix,
  discoveryPrefix,
  handleOf,
  type Instance,
  instanceKey,
  instancePrefix,
} from './wire.ts';

interface ServiceWatch {
  callbacks: ServiceCallbacks;
  seen: readonly Instance[];
}

export class Discovery implements DiscoveryClient {
  readonly #publisher: Publisher;
  /** One mirror for all, so that its revision covers instances and consumers at once. */
  readonly #mirror: Mirror<unknown>;
  /** Whose tunnels lead to what listens on the loopback of others. */
  readonly #here: string | undefined;
  readonly #abort = new AbortController();
  readonly #serviceWatches = new Map<string, Set<ServiceWatch>>();
  readonly #allWatches = new Set<(directory: Directory) => void>();
  readonly #consumerWatches = new Set<() => void>();
  #services = new Map<string, readonly Instance[]>();

  constructor(deps: DiscoveryDeps, ttlMs: number) {
    const { store, clock, random, log } = deps;
    this.#here = deps.here;
    this.#publisher = new Publisher(deps, ttlMs);
    this.#mirror = createMirror<unknown>(store, discoveryPrefix, {
      clock,
      random,
      log,
      signal: this.#abort.signal,
      onChange: (change) => this.#afterChange(change),
    });
  }

  async register(instance: Instance): Promise<Revision> {
    return this.#write(instance);
  }

  async update(
    { service, handle }: InstanceRef,
    change: { state?: Instance['state']; metadata?: Record<string, string> },
  ): Promise<Revision> {
    const current = this.#publisher.wanted(instanceKey(service, handle)) as Instance | undefined;
    if (!current)
      throw discoveryErrors.notRegistered(
        `cannot change ${handle} of ${service}: this process has not registered it`,
      );
    return this.#write({
      ...current,
      state: change.state ?? current.state,
      metadata: { ...current.metadata, ...change.metadata },
    });
  }

  async deregister({ service, handle }: InstanceRef): Promise<void> {
    const key = instanceKey(service, handle);
    await this.#publisher.delete(key);
  }

  ready(): Promise<void> {
    return this.#mirror.synced;
  }

  instances(service: string): readonly Instance[] {
    return this.#services.get(service) ?? [];
  }

  services(): string[] {
    return [...this.#services.keys()].sort();
  }

  leader(service: string): Instance | undefined {
    return leaderOf(this.instances(service));
  }

  directory(): Directory | undefined {
    const { revision } = this.#mirror;
    return revision && { revision, services: this.#services };
  }

  watchService(service: string, callbacks: ServiceCallbacks): Unsubscribe {
    const watch: ServiceWatch = { callbacks, seen: [] };
    const watches = this.#serviceWatches.get(service) ?? new Set();
    this.#serviceWatches.set(service, watches.add(watch));
    this.#tell(watch, this.instances(service));
    return () => {
      watches.delete(watch);
      if (watches.size === 0) this.#serviceWatches.delete(service);
    };
  }

  watchAll(callback: (directory: Directory) => void): Unsubscribe {
    this.#allWatches.add(callback);
    const directory = this.directory();
    if (directory) callback(directory);
    return () => this.#allWatches.delete(callback);
  }

  consume(id: string, machine?: string): ConsumerHandle {
    const key = consumerKey(id);
    return {
      report: async ({ applied, busy }) => {
        const consumer: Consumer = {
          id,
          appliedRevision: applied.revision,
          incarnation: applied.incarnation,
          ...(machine === undefined ? {} : { machine }),
          busy,
        };
        await this.#publisher.put(key, consumer);
      },
      leave: () => this.#publisher.leave(key),
      close: async () => {
        await this.#publisher.delete(key);
      },
    };
  }

  consumers(): Consumer[] {
    const consumers: Consumer[] = [];
    for (const [key, entry] of this.#mirror.entries())
      if (key.startsWith(consumerPrefix)) consumers.push(entry.value as Consumer);
    return consumers;
  }

  drainStatus(
    { service, handle }: InstanceRef,
    isLost: (machine: string) => boolean = () => false,
  ): DrainAnswer {
    const { revision } = this.#mirror;
    const entry = this.#mirror.get(instanceKey(service, handle));
    const isMarked = (entry?.value as Instance | undefined)?.state === 'draining';
    const marked =
      revision && entry && isMarked
        ? { incarnation: revision.incarnation, revision: entry.modRevision }
        : undefined;
    return decideDrain({ handle, marked, consumers: this.consumers(), isLost });
  }

  watchConsumers(callback: () => void): Unsubscribe {
    this.#consumerWatches.add(callback);
    return () => this.#consumerWatches.delete(callback);
  }

  status(): Record<string, unknown> {
    return {
      services: this.#services.size,
      entries: this.#mirror.entries().size,
      revision: this.#mirror.revision,
      isConnected: this.#mirror.isConnected,
      publisher: this.#publisher.status(),
    };
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#publisher.close();
  }

  async abandon(): Promise<void> {
    this.#abort.abort();
    await this.#publisher.abandon();
  }

  #write(instance: Instance): Promise<Revision> {
    return this.#publisher.put(instanceKey(instance.service, handleOf(instance)), instance);
  }

  #afterChange(change: WatchEvent<unknown>[] | 'resync'): void {
    const entries = this.#mirror.entries();
    const isResync = change === 'resync';
    const keys = new Set(isResync ? entries.keys() : change.map((event) => event.key));
    // What was published and is not there any more (a lost lease, a restored store) is written again.
    this.#publisher.forget((key) => !entries.has(key) && (isResync || keys.has(key)));
    for (const key of keys) {
      const entry = entries.get(key);
      if (entry) this.#publisher.see(key, entry, this.#mirror.revision?.incarnation ?? '');
    }
    this.#refresh(keys, isResync);
    if (isResync || change.some((event) => event.key.startsWith(consumerPrefix)))
      for (const callback of [...this.#consumerWatches]) callback();
  }

  #refresh(keys: ReadonlySet<string>, isResync: boolean): void {
    const changed = new Set<string>(isResync ? this.#services.keys() : []);
    for (const key of keys) if (key.startsWith(instancePrefix)) changed.add(serviceOf(key));
    if (changed.size === 0 && !isResync) return;
    const services = new Map(this.#services);
    for (const service of changed) services.delete(service);
    for (const [key, entry] of this.#mirror.entries()) {
      const service = key.startsWith(instancePrefix) ? serviceOf(key) : undefined;
      if (service !== undefined && changed.has(service))
        services.set(service, [
          ...(services.get(service) ?? []),
          seenFrom(this.#here, entry.value as Instance),
        ]);
    }
    for (const service of changed) {
      const instances = services.get(service);
      if (instances) services.set(service, instances.toSorted(byAge));
    }
    this.#services = services;
    for (const service of changed)
      for (const watch of [...(this.#serviceWatches.get(service) ?? [])])
        this.#tell(watch, this.instances(service));
    const directory = this.directory();
    if (directory) for (const callback of [...this.#allWatches]) callback(directory);
  }

  #tell(watch: ServiceWatch, now: readonly Instance[]): void {
    const changes = diffInstances(watch.seen, now);
    watch.seen = now;
    for (const change of changes) {
      if (change.type === 'update') watch.callbacks.update?.(change.instance, change.before);
      else if (change.type === 'leader') watch.callbacks.leader?.(change.instance);
      else watch.callbacks[change.type]?.(change.instance);
    }
  }
}

function serviceOf(key: string): string {
  return key.slice(instancePrefix.length, key.lastIndexOf('/'));
}

function byAge(a: Instance, b: Instance): number {
  return a.createdAt - b.createdAt || (handleOf(a) < handleOf(b) ? -1 : 1);
}
