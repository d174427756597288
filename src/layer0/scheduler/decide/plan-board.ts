// The cluster as it will be once the steps planned so far are done: copies of the few hosts they touch, the rest as observed.

import type { ClusterState } from '../cluster-state.ts';
import type { Claimant, HostUsage } from '../host-usage.ts';

export class PlanBoard {
  readonly #state: ClusterState;
  readonly #touched = new Map<string, HostUsage>();

  constructor(state: ClusterState) {
    this.#state = state;
  }

  get size(): number {
    return this.#state.hostList.length;
  }

  /** The host at a place from 0 to size - 1. */
  at(place: number): HostUsage | undefined {
    const host = this.#state.hostList[place];
    return host && this.#touched.size > 0 ? (this.#touched.get(host.id) ?? host) : host;
  }

  add(hostId: string, job: Claimant): void {
    this.#touch(hostId)?.add(job);
  }

  #touch(hostId: string): HostUsage | undefined {
    const touched = this.#touched.get(hostId);
    if (touched) return touched;
    const copy = this.#state.hosts.get(hostId)?.clone();
    if (copy) this.#touched.set(hostId, copy);
    return copy;
  }
}
