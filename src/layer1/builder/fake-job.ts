// A host and a scheduler with one build job, scripted: what the builder's tests build with.

import { Duplex } from 'node:stream';
import { coreErrors } from '#core/errors';
import type { CommitOptions, Image } from '#layer0/images/wire';
import type { Job, JobSpec, ObservedJob } from '#layer0/scheduler/client';
import type { BuilderDeps } from './client.ts';

export interface JobScript {
  /** What the job prints after it has read its source; `mark` opens the result line. */
  output(mark: string, source: Buffer): string[];
  exitCode: number;
  /** Says nothing and does not end, until it is stopped. */
  hangs: boolean;
  /** A job that must be on one machine finds no room there. */
  isFull: boolean;
}

export interface FakeBuild {
  deps: Pick<BuilderDeps, 'scheduler' | 'host'>;
  specs: JobSpec[];
  stopped: string[];
  commits: CommitOptions[];
  builds: { tag: string; dockerfile: string; host?: string }[];
  /** Host ids that jobs had to be on; none: any. */
  pinned: (string[] | undefined)[];
}

const megabyte = 1024 * 1024;

export function anImage(change: Partial<Image> = {}): Image {
  return {
    id: 'sha256:1',
    tags: [],
    sizeBytes: 600 * megabyte,
    createdAt: 0,
    command: [],
    entrypoint: [],
    exposedPorts: [],
    user: '',
    workingDir: '',
    labels: {},
    ...change,
  };
}

export function fakeBuild(script: Partial<JobScript>, built: Image = anImage()): FakeBuild {
  const fake: Omit<FakeBuild, 'deps'> = {
    specs: [],
    stopped: [],
    commits: [],
    builds: [],
    pinned: [],
  };
  const seen = (spec: JobSpec, state: 'up' | 'down' | 'failed'): ObservedJob => ({
    job: { id: 'job-1', kind: 'ephemeral', spec, host: 'host-1', desired: 'up' } as Job,
    status: {
      jobId: 'job-1',
      host: 'host-1',
      attempt: 1,
      state,
      isHealthy: state === 'up',
      ports: {},
      exitCode: script.exitCode ?? 0,
      updatedAt: 0,
    },
  });
  const spec = () => fake.specs[0] as JobSpec;
  const scheduler: BuilderDeps['scheduler'] = {
    async runEphemeral(request) {
      fake.specs.push(request.spec);
      fake.pinned.push(request.rules?.constraints?.[0]?.values);
      return `job-${fake.specs.length}`;
    },
    async stopJob(id) {
      fake.stopped.push(id);
    },
    async *watchJob() {
      if (script.isFull && fake.pinned.at(-1) !== undefined)
        for (const pendingReason of ['not looked at yet', 'no host has 1024 MiB left'])
          yield { job: { id: 'job-1', pendingReason } as Job, status: undefined };
      yield seen(spec(), 'up');
    },
    async waitForJob() {
      return seen(spec(), script.exitCode ? 'failed' : 'down');
    },
  };
  const host: BuilderDeps['host'] = {
    attach: async () => ({ socket: scriptedProcess(spec(), script), tty: false }),
    inspectImage: async () => anImage(),
    async commit(_job, options) {
      fake.commits.push(options);
      return built;
    },
    async *build(tar, { tag, dockerfile }, signal, host) {
      tar.resume();
      fake.builds.push({ tag, dockerfile, ...(host === undefined ? {} : { host }) });
      yield { line: 'Step 1/1 : FROM scratch' };
      if (script.hangs) await aborted(signal);
      yield { image: built };
    },
  };
  return { ...fake, deps: { scheduler, host } };
}

/** The engine says nothing more; only the signal ends it. */
function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) =>
    signal?.addEventListener('abort', () => reject(coreErrors.aborted('cancelled'))),
  );
}

/** Reads as many bytes as the job's env says, then prints its lines in the engine's framing. */
function scriptedProcess(spec: JobSpec, script: Partial<JobScript>): Duplex {
  const wanted = Number(spec.env.GANTRY_SOURCE_BYTES);
  const chunks: Buffer[] = [];
  const socket = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      const source = Buffer.concat(chunks);
      if (source.length >= wanted && !script.hangs) {
        const lines = script.output?.(spec.env.GANTRY_RESULT_MARK ?? '', source) ?? [];
        for (const line of lines) this.push(framed(`${line}\n`));
        this.push(null);
      }
      done();
    },
  });
  return socket;
}

export function framed(text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = 1;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}
