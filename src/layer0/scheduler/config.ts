// The scheduler's settings: what it may promise of a host, and how long it waits before it believes a loss.

import { numberSetting, type SettingsOf } from '#core/config';

export const schedulerSettings = {
  cpuOvercommitPercent: numberSetting({
    env: 'GANTRY_CPU_OVERCOMMIT_PERCENT',
    doc: 'How much of a host the shares of its jobs may add up to; a share is no cap, and most processes wait most of the time. 1000 is ten times.',
    fallback: 1000,
    min: 10,
    max: 10_000,
  }),
  memoryOvercommitPercent: numberSetting({
    env: 'GANTRY_MEMORY_OVERCOMMIT_PERCENT',
    doc: 'How much of the memory a host offers the limits of its jobs may add up to.',
    fallback: 100,
    min: 10,
    max: 1000,
  }),
  pidsPerHost: numberSetting({
    env: 'GANTRY_PIDS_PER_HOST',
    doc: 'How many processes the limits of all jobs of a host may add up to.',
    fallback: 262_144,
    min: 100,
    max: 4_194_304,
  }),
  hostLossGraceMs: numberSetting({
    env: 'GANTRY_HOST_LOSS_GRACE_MS',
    doc: 'How long a host must stay away after its lease ended before its jobs start elsewhere.',
    fallback: 5_000,
    min: 1000,
    max: 3_600_000,
  }),
  ephemeralKeepMs: numberSetting({
    env: 'GANTRY_EPHEMERAL_KEEP_MS',
    doc: 'How long the record of an ended one-off job stays.',
    fallback: 3_600_000,
    min: 1000,
    max: 604_800_000,
  }),
  electionTtlMs: numberSetting({
    env: 'GANTRY_SCHEDULER_ELECTION_TTL_MS',
    doc: 'How long the claim of a dead scheduler leader lasts.',
    fallback: 10_000,
    min: 1000,
    max: 60_000,
  }),
  candidateHosts: numberSetting({
    env: 'GANTRY_SCHEDULER_CANDIDATE_HOSTS',
    doc: 'How many fitting hosts one placement compares before it asks all of them; more is a better choice and a slower one.',
    fallback: 100,
    min: 1,
    max: 100_000,
  }),
};

export type SchedulerConfig = SettingsOf<typeof schedulerSettings> & {
  /** The host agent's setting: how long its lease lasts. */
  hostLeaseMs: number;
};

/** What the settings say when the environment says nothing. */
export const defaultSchedulerConfig: SchedulerConfig = {
  cpuOvercommitPercent: 400,
  memoryOvercommitPercent: 100,
  pidsPerHost: 262_144,
  hostLossGraceMs: 5_000,
  hostLeaseMs: 10_000,
  ephemeralKeepMs: 3_600_000,
  electionTtlMs: 10_000,
  candidateHosts: 100,
};
