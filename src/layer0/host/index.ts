// The host agent: what should run on this machine, and what does? The only holder of the container engine.

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import type { Loop } from '#core/reconcile';
import type { DiscoveryClient } from '#layer0/discovery/client';
import type { Network } from '#layer0/network/client';
import { jobKey } from '#layer0/scheduler/wire';
import type { Revision, Store } from '#layer0/store/client';
import type { ActDeps } from './act/outcome.ts';
import { createAddressCollector } from './address-collector.ts';
import { type HostConfig, startsPerCore } from './config.ts';
import { EngineView } from './engine-view.ts';
import { createProbe, type Probe } from './health/probe.ts';
import { Prober } from './health/prober.ts';
import type { LoadMeter } from './load.ts';
import { Agent } from './loop.ts';
import { createPortBook, type IsPortFree } from './ports.ts';
import { HostRegistration } from './registration.ts';
import type { Runtime } from './runtime/runtime.ts';
import { createSeal, loadSealKey, type Seal } from './seal.ts';
import { StartSlots } from './slots.ts';
import { StatusWriter } from './status-writer.ts';
import { JobStreams } from './streams.ts';
import { createMemoryBook, Tenure, type TenureBook } from './tenure.ts';
import type { DnsReport, JobStatus, UnknownContainers } from './wire.ts';

export { type HostConfig, hostSettings } from './config.ts';
export { fenceFolder } from './fence.ts';
export { createLoadMeter, type LoadMeter } from './load.ts';
export { createDockerRuntime } from './runtime/docker/docker-runtime.ts';
export {
  createOwnContainers,
  type OwnContainer,
  type OwnContainers,
} from './runtime/docker/own-containers.ts';
export { createRegistryEngine } from './runtime/docker/registry-calls.ts';
export type { Container, ContainerSpec, Runtime } from './runtime/runtime.ts';
export { createSeal, loadSealKey, type Seal } from './seal.ts';
export { createTenureBook } from './tenure.ts';

/** Most unknown containers that a status names. */
const maxUnknownNamed = 20;

export interface HostDeps {
  runtime: Runtime;
  store: Store;
  network: Pick<
    Network,
    'ensureAppNetwork' | 'allocate' | 'release' | 'claim' | 'heldBy' | 'resync'
  >;
  discovery: DiscoveryClient;
  clock: Clock;
  random: Random;
  log: Log;
  /** Of the DNS process, for doctor. */
  dns?(): DnsReport | undefined;
  /** Instead of real connections: for the simulator. */
  probe?: Probe;
  isPortFree?: IsPortFree;
  bootId?: () => Promise<string>;
  /** Absent: the host does not say how busy it is. */
  load?: LoadMeter;
  /** Ids of machines that do not answer this one; absent: it listens for none. */
  silent?(): readonly string[];
  /** Where the fence finds what it goes by; in memory unless given. */
  tenureBook?: TenureBook;
  /** Whether other machines belong to the cluster; without it, none does. */
  isAlone?(): boolean;
  /** Called after each step of each job: what throws here fails the pass, as a crash would. */
  onStep?: ActDeps['onStep'];
  /** Brings an image here from another machine; false when none has it. */
  fetchImage?: ActDeps['fetchImage'];
  /** Of the machine, unless given. */
  cores?: number;
  /** Instead of the key file. */
  sealKey?: Buffer;
}

export interface Host extends Component {
  /** Resolves when everything that runs was adopted; from then on things are started and removed. */
  adopted(): Promise<void>;
  /** What this agent knows of a job, ahead of the store by at most one batch. */
  jobStatus(jobId: string): JobStatus | undefined;
  /** What `silent` says has changed. */
  tellSilence(): void;
  /** The host that has the job, as far as its record has come here. */
  placeOf(jobId: string): string | undefined;
  /** Attach, exec, signals and log files of jobs. */
  readonly streams: JobStreams;
  /** The newest container of a job, running or ended: what images commit. */
  containerOf(jobId: string): string | undefined;
  seal(context: string, plain: string): string;
  open(context: string, sealed: string): string;
  /** Text for Prometheus. */
  metrics(): string;
}

export function createHost(deps: HostDeps, config: HostConfig): Host {
  return new HostAgent(deps, config);
}

class HostAgent implements Host {
  readonly streams: JobStreams;
  readonly #deps: HostDeps;
  readonly #config: HostConfig;
  readonly #engine: EngineView;
  readonly #prober: Prober;
  readonly #statuses: StatusWriter;
  readonly #registration: HostRegistration;
  readonly #tenure: Tenure;
  readonly #slots: StartSlots;
  readonly #agent: Agent;
  readonly #addresses: Loop;
  #seal: Seal | undefined;

  constructor(deps: HostDeps, config: HostConfig) {
    const { runtime, clock, random, log } = deps;
    this.#deps = deps;
    this.#config = config;
    this.#engine = new EngineView({
      runtime,
      clusterId: config.clusterId,
      log,
      onChange: (jobId) => this.#agent.onContainers(jobId),
    });
    const probe = deps.probe ?? createProbe(runtime, clock);
    this.#prober = new Prober({ probe, clock, random });
    this.#statuses = new StatusWriter({ ...deps, records: () => this.#agent.records });
    this.#tenure = new Tenure({
      book: deps.tenureBook ?? createMemoryBook(clock),
      leaseMs: config.hostLeaseMs,
      clock,
      isAlone: deps.isAlone ?? (() => true),
      onChange: () => this.#agent.onTenure(),
    });
    const recordsSeen = async (revision: Revision) => await this.#agent.recordsSeen(revision);
    this.#registration = new HostRegistration(
      { ...deps, tenure: this.#tenure, recordsSeen },
      config,
    );
    this.#slots = new StartSlots(startsPerCore * (deps.cores ?? availableParallelism()));
    this.#agent = this.#createAgent();
    this.#addresses = createAddressCollector(
      {
        ...deps,
        records: () => (this.#agent.isAdopted ? this.#agent.records : undefined),
        hasRunning: (job) => this.#engine.of(job).some(({ state }) => state === 'running'),
      },
      config.hostId,
    );
    this.streams = new JobStreams({
      runtime,
      containers: (jobId) => this.#engine.of(jobId),
      jobIds: () => this.#engine.jobIds(),
      isTty: (jobId) => this.#agent.worker(jobId)?.view.job?.spec.tty ?? false,
    });
  }

  tellSilence(): void {
    this.#registration.tellSilence();
  }

  async start(): Promise<void> {
    const key = this.#deps.sealKey ?? (await loadSealKey(this.#keyPath()));
    this.#seal = createSeal(key);
    this.#statuses.start();
    await this.#tenure.load();
    this.#agent.start();
    await this.#registration.start();
    this.#addresses.start();
  }

  async stop(): Promise<void> {
    await this.#addresses.stop();
    await this.#agent.stop();
    this.#prober.stop();
    await this.#registration.stop();
    this.#tenure.stop();
    await this.#statuses.stop();
  }

  adopted(): Promise<void> {
    return this.#agent.adopted;
  }

  jobStatus(jobId: string): JobStatus | undefined {
    return this.#agent.worker(jobId)?.view.status;
  }

  placeOf(jobId: string): string | undefined {
    return this.#agent.records?.get(jobKey(jobId))?.value.host;
  }

  containerOf(jobId: string): string | undefined {
    return this.#engine.of(jobId).at(-1)?.id;
  }

  seal(context: string, plain: string): string {
    return this.#key().seal(context, plain);
  }

  open(context: string, sealed: string): string {
    return this.#key().open(context, sealed);
  }

  status(): Record<string, unknown> {
    return {
      agent: this.#agent.status(),
      registration: this.#registration.status(),
      containers: this.#engine.size,
      jobs: this.#countStates(),
      starts: { running: this.#slots.held, waiting: this.#slots.waiting },
      probes: this.#prober.size,
      unwrittenStatuses: this.#statuses.waiting,
      failing: this.#failing(),
      unknownContainers: this.#unknown(),
      dns: this.#deps.dns?.(),
    };
  }

  metrics(): string {
    const lines = [
      '# HELP gantry_host_jobs Jobs of this host by state.',
      '# TYPE gantry_host_jobs gauge',
      ...Object.entries(this.#countStates()).map(
        ([state, count]) => `gantry_host_jobs{state="${state}"} ${count}`,
      ),
    ];
    const gauges: [string, string, number][] = [
      ['containers', "Containers of this cluster in the engine's list.", this.#engine.size],
      ['starts_running', 'Containers being created or started.', this.#slots.held],
      ['starts_waiting', 'Jobs that wait for a start slot.', this.#slots.waiting],
      ['probes', 'Containers whose health is probed.', this.#prober.size],
      ['statuses_unwritten', 'Statuses the store does not have yet.', this.#statuses.waiting],
    ];
    for (const [name, help, value] of gauges)
      lines.push(
        `# HELP gantry_host_${name} ${help}`,
        `# TYPE gantry_host_${name} gauge`,
        `gantry_host_${name} ${value}`,
      );
    return `${lines.join('\n')}\n`;
  }

  #createAgent(): Agent {
    const { runtime, network, discovery, clock, random, log, store } = this.#deps;
    return new Agent({
      store,
      clock,
      random,
      log,
      onEngine: () => this.#onEngine(),
      act: {
        runtime,
        engine: this.#engine,
        network,
        discovery,
        seal: { seal: (...args) => this.seal(...args), open: (...args) => this.open(...args) },
        slots: this.#slots,
        prober: this.#prober,
        statuses: this.#statuses,
        tenure: this.#tenure,
        ports: createPortBook(this.#config, random, this.#deps.isPortFree),
        clock,
        config: this.#config,
        onStep: this.#deps.onStep,
        fetchImage: this.#deps.fetchImage,
      },
    });
  }

  #onEngine(): void {
    this.#registration.refresh();
    this.#deps.network.resync();
  }

  #key(): Seal {
    if (!this.#seal) throw new Error('the host was not started: it has no key yet');
    return this.#seal;
  }

  #keyPath(): string {
    return join(this.#config.home, 'keys', 'seal.key');
  }

  #countStates(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { view } of this.#agent.workers()) {
      const state = view.status?.state ?? 'placed';
      counts[state] = (counts[state] ?? 0) + 1;
    }
    return counts;
  }

  /** Containers that no record may end, because none was seen in their incarnation: for `gantry doctor`. */
  #unknown(): UnknownContainers {
    const names = [...this.#agent.workers()]
      .filter(({ view }) => view.intent === 'leave')
      .flatMap((worker) => this.#engine.of(worker.jobId))
      // One that has ended is collected by itself.
      .filter(({ state }) => state === 'running')
      .map(({ name }) => name);
    return { count: names.length, names: names.sort().slice(0, maxUnknownNamed) };
  }

  /** Jobs whose steps fail right now, for `gantry doctor`; at most twenty. */
  #failing(): Record<string, unknown>[] {
    return [...this.#agent.workers()]
      .map((worker) => ({ job: worker.jobId, ...worker.status() }))
      .filter(({ failuresInRow }) => failuresInRow > 0)
      .slice(0, 20);
  }
}
