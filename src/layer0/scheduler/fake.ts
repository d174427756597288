// Records for tests: a host, a job, a formation, with everything a test does not care about filled in.

import {
  type Host,
  hostAliveKey,
  hostDrainKey,
  hostKey,
  hostLoadPrefix,
  hostSilentPrefix,
  hostTagsPrefix,
  type JobStatus,
  statusKey,
} from '#layer0/host/wire';
import { ClusterState } from './cluster-state.ts';
import type { DecideContext } from './decide/steps.ts';
import { type Formation, formationKey, type Job, type JobSpec, jobKey } from './wire.ts';

export const megabyte = 1024 * 1024;
export const gigabyte = 1024 * megabyte;

export function aHost(change: Partial<Host> = {}): Host {
  const id = change.id ?? 'h1';
  return {
    id,
    name: id,
    address: '127.0.0.1',
    engineVersion: '20.10',
    bootId: 'boot-1',
    version: '0.1.0',
    memoryBytes: 4 * gigabyte,
    cpuMillis: 4000,
    registeredAt: 0,
    ...change,
  };
}

export function aSpec(change: Partial<JobSpec> = {}): JobSpec {
  return {
    image: 'sha256:0',
    env: {},
    sealedEnv: {},
    ports: [{ name: 'http', port: 8080, protocol: 'tcp' }],
    network: 'app',
    health: {
      type: 'tcp',
      intervalMs: 1000,
      timeoutMs: 2000,
      startTimeoutMs: 60_000,
      failures: 3,
    },
    resources: { memoryBytes: 512 * megabyte, cpuMillis: 1000, pids: 512 },
    mounts: [],
    tags: {},
    stopGraceMs: 10_000,
    drainMs: 30_000,
    restart: 'always',
    tty: false,
    openStdin: false,
    capabilities: [],
    ...change,
  };
}

export function aJob(change: Partial<Job> = {}): Job {
  return {
    id: 'job-1',
    kind: 'service',
    app: 'app-shop',
    appName: 'shop',
    release: 'rel-1',
    releaseVersion: 1,
    type: 'web',
    index: 1,
    spec: aSpec(),
    priority: 0,
    placement: 'spread',
    desired: 'up',
    createdAt: 0,
    ...change,
  };
}

export function aStatus(change: Partial<JobStatus> = {}): JobStatus {
  return {
    jobId: 'job-1',
    host: 'h1',
    attempt: 1,
    state: 'up',
    isHealthy: true,
    ports: {},
    updatedAt: 0,
    ...change,
  };
}

export function aProcess(
  change: Partial<Formation['processes'][string]> = {},
): Formation['processes'][string] {
  return { quantity: 1, isOnePerHost: false, placement: 'spread', spec: aSpec(), ...change };
}

/** One `web` unless the test says otherwise. */
export function aFormation(change: Partial<Formation> = {}): Formation {
  return {
    app: 'app-shop',
    appName: 'shop',
    release: 'rel-1',
    releaseVersion: 1,
    priority: 0,
    processes: { web: aProcess() },
    ...change,
  };
}

export const limits = {
  cpuOvercommitPercent: 400,
  memoryOvercommitPercent: 100,
  pidsPerHost: 10_000,
  candidateHosts: 100,
};

export function aContext(change: Partial<DecideContext> = {}): DecideContext {
  return {
    nowMs: 0,
    monotonicMs: 0,
    limits,
    hostLossGraceMs: 30_000,
    hostLeaseMs: 10_000,
    ephemeralKeepMs: 3_600_000,
    ...change,
  };
}

export interface StateOptions {
  hosts?: (Partial<Host> & {
    isAway?: boolean;
    isDraining?: boolean;
    tags?: Record<string, string>;
    busyPercent?: number;
    /** Ids of hosts that do not answer it. */
    silent?: string[];
  })[];
  jobs?: (Partial<Job> & { status?: Partial<JobStatus> })[];
  formations?: Formation[];
}

/** The local copy as it is after these records were seen, at time 0 as a rule. Jobs get ids and numbers in order. */
export function aState(
  { hosts = [], jobs = [], formations = [] }: StateOptions,
  now: () => number = () => 0,
): ClusterState {
  const state = new ClusterState(now);
  let modRevision = 0;
  const put = (key: string, value: unknown) =>
    state.put({ key, value, modRevision: ++modRevision });
  for (const { isAway, isDraining, tags, busyPercent, silent, ...host } of hosts) {
    const record = aHost(host);
    put(hostKey(record.id), record);
    if (isDraining) put(hostDrainKey(record.id), { since: 0, by: 'test' });
    if (tags) put(`${hostTagsPrefix}${record.id}`, tags);
    if (busyPercent !== undefined) put(`${hostLoadPrefix}${record.id}`, { busyPercent });
    if (silent) put(`${hostSilentPrefix}${record.id}`, { hosts: silent });
    if (!isAway) put(hostAliveKey(record.id), {});
  }
  for (const formation of formations)
    put(formationKey(formation.app, formation.release), formation);
  for (const [place, { status, ...job }] of jobs.entries()) {
    const record = aJob({ id: `job-${place + 1}`, index: place + 1, ...job });
    put(jobKey(record.id), record);
    if (status) put(statusKey(record.id), aStatus({ jobId: record.id, ...status }));
  }
  return state;
}
