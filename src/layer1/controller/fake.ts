// Scripted stand-ins for layer 0 and the builder: jobs follow formations as the scheduler and the host would make them,
// and a test says which images get healthy, crash or never start.

import type { AppError } from '#core/errors';
import { coreErrors } from '#core/errors';
import type { FakeClock } from '#core/fake-clock';
import { type JobStatus, statusKey } from '#layer0/host/wire';
import { anImage } from '#layer0/images/fake';
import type { Image } from '#layer0/images/wire';
import {
  type Formation,
  formationPrefix,
  type Job,
  jobKey,
  jobPrefix,
} from '#layer0/scheduler/wire';
import type { Store } from '#layer0/store/client';
import type { BuildOutput } from '#layer1/builder/wire';
import type { BuilderPort, HostPort, LogsPort } from './context.ts';
import type { SeenJob } from './decide/app-view.ts';

/** What the process of an image does once it is started. */
export type Behaviour =
  | 'healthy'
  | 'crashes'
  /** Healthy for a moment, each time anew. */
  | 'crashes when healthy'
  | 'hangs'
  | 'waits for room';

export class FakeGrid {
  readonly #store: Store;
  readonly #clock: FakeClock;
  readonly #behaviours = new Map<string, Behaviour>();
  #nextJob = 1;
  /** The fewest healthy jobs of `web` that a step has left, since the last reset. */
  fewestHealthy = Number.POSITIVE_INFINITY;

  constructor(store: Store, clock: FakeClock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** What jobs of this image do; healthy unless said. */
  script(image: string, behaviour: Behaviour): void {
    this.#behaviours.set(image, behaviour);
  }

  async addHost(id = 'h1'): Promise<void> {
    await this.#put(`host/alive/${id}`, { id });
  }

  async jobs(): Promise<Job[]> {
    return (await this.#store.list<Job>(jobPrefix)).entries.map(({ value }) => value);
  }

  async status(job: string): Promise<JobStatus | undefined> {
    return (await this.#store.get<JobStatus>(statusKey(job)))?.value;
  }

  /** One look of a scheduler and of a host: every job moves by at most one state. */
  async step(): Promise<void> {
    await this.#schedule();
    for (const job of await this.jobs()) await this.#run(job);
    await this.#count();
  }

  async #schedule(): Promise<void> {
    const formations = await this.#store.list<Formation>(formationPrefix);
    const jobs = await this.jobs();
    const kept = new Set<string>();
    for (const { value: formation } of formations.entries) {
      for (const [type, process] of Object.entries(formation.processes)) {
        const mine = jobs.filter(
          (job) =>
            job.kind === 'service' &&
            job.desired === 'up' &&
            job.release === formation.release &&
            job.type === type,
        );
        const ranked = await this.#byWorth(mine);
        for (const job of ranked.slice(0, process.quantity)) kept.add(job.id);
        for (let missing = process.quantity - ranked.length; missing > 0; missing--)
          kept.add(await this.#make(formation, type));
      }
    }
    for (const job of jobs)
      if (job.kind === 'service' && job.desired === 'up' && !kept.has(job.id))
        await this.#put(jobKey(job.id), { ...job, desired: 'down' });
  }

  async #byWorth(jobs: Job[]): Promise<Job[]> {
    const healthy = new Map<string, boolean>();
    for (const { id } of jobs) healthy.set(id, (await this.status(id))?.isHealthy ?? false);
    return jobs.sort((a, b) => Number(healthy.get(b.id)) - Number(healthy.get(a.id)));
  }

  async #make(formation: Formation, type: string): Promise<string> {
    const spec = formation.processes[type]?.spec;
    if (!spec) throw coreErrors.internal(`formation of ${formation.appName} has no ${type}`);
    const jobs = await this.jobs();
    const taken = new Set(
      jobs.filter((job) => job.app === formation.app && job.type === type).map((job) => job.index),
    );
    let index = 1;
    while (taken.has(index)) index++;
    const isFull = this.#behaviours.get(spec.image) === 'waits for room';
    const job: Job = {
      id: `job-${String(this.#nextJob++).padStart(16, '0')}`,
      kind: 'service',
      app: formation.app,
      appName: formation.appName,
      release: formation.release,
      releaseVersion: formation.releaseVersion,
      type,
      index,
      spec,
      priority: 0,
      placement: 'spread',
      desired: 'up',
      createdAt: this.#clock.now(),
      ...(isFull ? { pendingReason: 'no host has 512 MiB free (1 host)' } : { host: 'h1' }),
    };
    await this.#put(jobKey(job.id), job);
    return job.id;
  }

  async #run(job: Job): Promise<void> {
    const status = await this.status(job.id);
    if (job.desired === 'down') return await this.#stop(job, status);
    if (job.kind === 'ephemeral') return await this.#runOneOff(job, status);
    if (job.host === undefined) return;
    const behaviour = this.#behaviours.get(job.spec.image) ?? 'healthy';
    if (!status) return await this.#say(job, { attempt: 1, state: 'starting' });
    const getsHealthy = behaviour === 'healthy' || behaviour === 'crashes when healthy';
    if (status.state === 'starting' && getsHealthy)
      return await this.#say(job, { attempt: status.attempt, state: 'up', isHealthy: true });
    const isCrashing = status.state === 'up' ? 'crashes when healthy' : 'crashes';
    if (status.state !== 'failed' && behaviour !== isCrashing) return;
    if (status.state === 'failed')
      return await this.#say(job, { attempt: status.attempt + 1, state: 'starting' });
    const crash = { exitCode: 1, reason: `exit 1; restart ${status.attempt + 1} in 1 s` };
    await this.#say(job, { attempt: status.attempt, state: 'failed', ...crash });
  }

  async #runOneOff(job: Job, status: JobStatus | undefined): Promise<void> {
    if (!status) return await this.#say(job, { attempt: 1, state: 'up', isHealthy: true });
    if (status.state === 'up') await this.#say(job, { attempt: 1, state: 'down', exitCode: 0 });
  }

  async #stop(job: Job, status: JobStatus | undefined): Promise<void> {
    if (status && status.state !== 'down' && status.state !== 'stopping')
      return await this.#say(job, { attempt: status.attempt, state: 'stopping' });
    if (status?.state === 'stopping')
      return await this.#say(job, { attempt: status.attempt, state: 'down', exitCode: 0 });
    await this.#store.txn({
      compare: [],
      operations: [{ delete: jobKey(job.id) }, { delete: statusKey(job.id) }],
    });
  }

  async #say(
    job: Job,
    status: Pick<JobStatus, 'attempt' | 'state'> & Partial<JobStatus>,
  ): Promise<void> {
    const now = this.#clock.now();
    const value: JobStatus = {
      jobId: job.id,
      host: 'h1',
      isHealthy: false,
      containerId: `c-${job.id}`,
      ports: {},
      startedAt: now,
      updatedAt: now,
      ...(status.state === 'down' || status.state === 'failed' ? { endedAt: now } : {}),
      ...status,
    };
    await this.#put(statusKey(job.id), value);
  }

  async #count(): Promise<void> {
    let healthy = 0;
    for (const job of await this.jobs())
      if (job.type === 'web' && job.desired === 'up' && (await this.status(job.id))?.isHealthy)
        healthy++;
    this.fewestHealthy = Math.min(this.fewestHealthy, healthy);
  }

  async #put(key: string, value: unknown): Promise<void> {
    await this.#store.txn({ compare: [], operations: [{ put: key, value }] });
  }
}

export function imageNamed(reference: string): Image {
  const id = `sha256:${Buffer.from(reference).toString('hex').padEnd(64, '0').slice(0, 64)}`;
  return anImage({ id, tags: [reference], workingDir: '/' });
}

export interface FakeHost extends HostPort {
  readonly signalled: string[];
  /** Images that were asked to be on a second machine, in order. */
  readonly spread: string[];
}

/** Seals by turning the text around in base 64: readable by this host only, and not the text itself. */
export function createFakeHost(images: readonly string[] = []): FakeHost {
  const signalled: string[] = [];
  const spread: string[] = [];
  const unscripted = (): AppError => coreErrors.internal('this host is not scripted for that');
  const encode = (text: string) =>
    Buffer.from(text).toString('base64').split('').reverse().join('');
  const decode = (text: string) =>
    Buffer.from(text.split('').reverse().join(''), 'base64').toString();
  return {
    signalled,
    spread,
    seal: async (context, plain) => `v1.${encode(`${context}\n${plain}`)}`,
    open: async (context, sealed) => {
      const [bound, ...plain] = decode(sealed.slice(3)).split('\n');
      if (bound !== context) throw coreErrors.invalid('sealed for another context');
      return plain.join('\n');
    },
    inspectImage: async (reference) => {
      const image = images
        .map(imageNamed)
        .find(({ id, tags }) => id === reference || tags.includes(reference));
      if (!image) throw coreErrors.notFound(`there is no image ${reference}`);
      return image;
    },
    spreadImage: async (image) => {
      spread.push(image);
      return [];
    },
    importImages: async (tar) => {
      for await (const _chunk of tar);
      return images.map(imageNamed);
    },
    signal: async (job, signal) => void signalled.push(`${job} ${signal}`),
    status: async () => ({}),
    memberReports: async () => [],
    resize: async () => undefined,
    execExitCode: async () => 0,
    attach: async () => {
      throw unscripted();
    },
    exec: async () => {
      throw unscripted();
    },
  };
}

/** A builder that says two lines and makes the image of the commit, or throws what the test gives it. */
export function createFakeBuilder(processes = { web: {} }): BuilderPort & { error?: Error } {
  const builder: BuilderPort & { error?: Error } = {
    async *build(request, tar, signal): AsyncGenerator<BuildOutput> {
      yield { line: '-----> Node.js' };
      for await (const _chunk of tar) if (signal.aborted) throw coreErrors.aborted('hung up');
      if (builder.error) throw builder.error;
      yield { line: '-----> done' };
      yield { result: { image: imageNamed(request.commit), processes, buildpack: 'nodejs' } };
    },
  };
  return builder;
}

export const emptyLogs: LogsPort = {
  async *read() {},
};

/** A job as the leader sees it: up and healthy, it is not said since when. */
export function aSeenJob(change: Partial<SeenJob> = {}): SeenJob {
  return {
    id: 'job-1',
    kind: 'service',
    release: 'rel-1',
    type: 'web',
    name: 'web.1',
    isWanted: true,
    state: 'up',
    isHealthy: true,
    attempt: 1,
    ...change,
  };
}
