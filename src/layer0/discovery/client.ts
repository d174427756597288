// The door of discovery: register what runs here, know what runs anywhere.
// Reads answer from memory, from what was last known when the store is away; writes reach the store or say that they did not.

import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import type { Revision, Store } from '#layer0/store/client';
import type { DrainAnswer } from './decide/drain.ts';
import { Discovery } from './discovery.ts';
import type { Consumer, Instance } from './wire.ts';

export { type DrainAnswer, decideDrain } from './decide/drain.ts';
export { leaderOf } from './decide/leader.ts';
export { isLoopback } from './decide/seen-from.ts';
export {
  createRenderer,
  type Renderer,
  type RendererDeps,
  type RendererOptions,
} from './render.ts';
export {
  type Consumer,
  type DnsListener,
  type DnsTable,
  handleOf,
  type Instance,
} from './wire.ts';

/** Names one instance: its service and its handle (its job, or its id when it has none). */
export interface InstanceRef {
  service: string;
  handle: string;
}

export interface ServiceCallbacks {
  up?(instance: Instance): void;
  down?(instance: Instance): void;
  update?(instance: Instance, before: Instance): void;
  /** Undefined when the last instance went. */
  leader?(instance: Instance | undefined): void;
}

/** Everything that is registered, as of one revision. */
export interface Directory {
  revision: Revision;
  services: ReadonlyMap<string, readonly Instance[]>;
}

export type Unsubscribe = () => void;

export interface ConsumerHandle {
  /** Says how far this consumer is; reports that come faster than the store takes them are merged to the last one. */
  report(state: Pick<Consumer, 'busy'> & { applied: Revision }): Promise<void>;
  /** Reports no more; the last one stands until whoever follows under the same id reports, or the lease has run out. */
  leave(): void;
  /** Takes it out at once: nothing waits for this consumer any more. */
  close(): Promise<void>;
}

export interface DiscoveryClient {
  /**
   * Registers under this client's lease and keeps it there until `deregister` or `close`, also through a lost lease or a
   * restored store. Rejects when the store is away; it is written as soon as it is back all the same. Registering again replaces.
   */
  register(instance: Instance): Promise<Revision>;
  /** Changes an instance that this client registered; discovery.notRegistered for any other. Metadata is merged. */
  update(
    ref: InstanceRef,
    change: { state?: Instance['state']; metadata?: Record<string, string> },
  ): Promise<Revision>;
  /** Absent is no error. */
  deregister(ref: InstanceRef): Promise<void>;

  /** Resolves when the first list has been read. */
  ready(): Promise<void>;
  /** Of one service, the oldest first; draining ones included. */
  instances(service: string): readonly Instance[];
  services(): string[];
  leader(service: string): Instance | undefined;
  /** Undefined until ready. */
  directory(): Directory | undefined;
  /** Tells the present state as `up` calls before it returns, then every change. */
  watchService(service: string, callbacks: ServiceCallbacks): Unsubscribe;
  /** Called with the state now (when ready) and after every change, at most once per commit. */
  watchAll(callback: (directory: Directory) => void): Unsubscribe;

  /** Drains wait for this consumer from now on (docs/design/one-machine.md). One per client and id. */
  consume(id: string, machine?: string): ConsumerHandle;
  consumers(): Consumer[];
  /** May this instance, which was set to draining, be stopped? Ask again after each call of watchConsumers. */
  drainStatus(ref: InstanceRef, isLost?: (machine: string) => boolean): DrainAnswer;
  /** Called whenever an answer of drainStatus may have changed. */
  watchConsumers(callback: () => void): Unsubscribe;

  status(): Record<string, unknown>;
  /** Takes everything this client registered out of discovery. */
  close(): Promise<void>;
  /** Ends like a crash: what was registered stays until its lease has run out, so that a restart is no gap. */
  abandon(): Promise<void>;
}

export interface DiscoveryDeps {
  store: Store;
  clock: Clock;
  random: Random;
  log: Log;
  /** How long a registration outlives a silent process, milliseconds. */
  ttlMs?: number;
  /**
   * Host id of this machine: an instance on the loopback of another one is shown with the address of this machine's tunnel
   * to it. Absent: as it was registered.
   */
  here?: string;
}

const defaultTtlMs = 10_000;

export function createDiscovery(deps: DiscoveryDeps): DiscoveryClient {
  return new Discovery(deps, deps.ttlMs ?? defaultTtlMs);
}
