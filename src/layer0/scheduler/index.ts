// The scheduler of one daemon: one shared copy of the cluster, the service and the ephemeral scheduler on it.

import type { Component } from '#core/component';
import { newId } from '#core/ids';
import { ClusterView, type ClusterViewDeps } from './cluster-view.ts';
import { defaultSchedulerConfig, type SchedulerConfig } from './config.ts';
import type { Step } from './decide/steps.ts';
import { type Decider, ElectedScheduler, type SchedulerStatus } from './elected-scheduler.ts';
import { EphemeralDecider } from './ephemeral-scheduler.ts';
import { metricsText } from './metrics.ts';
import { ServiceDecider, type ServiceDecisions } from './service-scheduler.ts';

export type { SchedulerStatus, ServiceDecisions };

export interface SchedulerDeps extends ClusterViewDeps {
  /** Who campaigns: the host's id. */
  identity: string;
  newJobId?: () => string;
  /** Sees every committed step: traces of tests. */
  onSteps?: (scheduler: string, steps: Step[]) => void;
  /** Instead of the real decisions, to show what a guard is for. */
  decisions?: Partial<ServiceDecisions>;
}

export interface PendingJob {
  id: string;
  name: string;
  kind: 'service' | 'ephemeral';
  reason: string;
  since: number;
}

export interface Scheduler extends Component {
  /** What `gantry doctor` reads. */
  report(): { isReady: boolean; schedulers: SchedulerStatus[]; pending: PendingJob[] };
  /** The same as figures, in Prometheus' text format. */
  metrics(): string;
}

/** Most pending jobs that a report lists. */
const maxReported = 1000;

export function createScheduler(
  deps: SchedulerDeps,
  config: SchedulerConfig = defaultSchedulerConfig,
): Scheduler {
  return new DaemonScheduler(deps, config);
}

class DaemonScheduler implements Scheduler {
  readonly #deps: SchedulerDeps;
  readonly #config: SchedulerConfig;
  readonly #stop = new AbortController();
  #view: ClusterView | undefined;
  #schedulers: ElectedScheduler[] = [];

  constructor(deps: SchedulerDeps, config: SchedulerConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  async start(): Promise<void> {
    const { identity, decisions } = this.#deps;
    const view = new ClusterView(this.#deps, this.#stop.signal);
    this.#view = view;
    const deciders: Record<string, Decider> = {
      service: new ServiceDecider(decisions),
      ephemeral: new EphemeralDecider(),
    };
    const deps = { newJobId: () => newId('job'), ...this.#deps, view };
    this.#schedulers = Object.entries(deciders).map(
      ([name, decider]) => new ElectedScheduler({ name, identity }, decider, deps, this.#config),
    );
    for (const scheduler of this.#schedulers) scheduler.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#schedulers.map((scheduler) => scheduler.stop()));
    this.#stop.abort();
  }

  status(): Record<string, unknown> {
    const { isReady, schedulers, pending } = this.report();
    return { scheduler: { isReady, schedulers, pending: pending.length } };
  }

  report(): ReturnType<Scheduler['report']> {
    const schedulers = this.#schedulers.map((scheduler) => scheduler.status());
    const pending: PendingJob[] = [];
    const state = this.#view?.state;
    for (const id of [...(state?.pending.service ?? []), ...(state?.pending.ephemeral ?? [])]) {
      const job = state?.jobs.get(id)?.job;
      if (!job || pending.length >= maxReported) continue;
      const { kind, createdAt: since, pendingReason: reason = 'not looked at yet' } = job;
      pending.push({ id, name: `${job.type}.${job.index}.${job.appName}`, kind, reason, since });
    }
    return { isReady: this.#view?.isReady ?? false, schedulers, pending };
  }
  metrics(): string {
    const { service, ephemeral } = this.#view?.state.pending ?? {};
    const pending: Record<string, number> = {
      service: service?.size ?? 0,
      ephemeral: ephemeral?.size ?? 0,
    };
    const watched = this.#schedulers.map((scheduler) => scheduler.status());
    return metricsText(watched.map((one) => ({ ...one, pending: pending[one.name] ?? 0 })));
  }
}
