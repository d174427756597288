// Settings of the host agent, and its limits with their names.

import { numberSetting, type SettingsOf } from '#core/config';

export const hostSettings = {
  portMin: numberSetting({
    env: 'GANTRY_HOST_PORT_MIN',
    doc: 'First loopback port for jobs on the host network that let the host choose.',
    fallback: 21_000,
    min: 1024,
    max: 65_535,
  }),
  portMax: numberSetting({
    env: 'GANTRY_HOST_PORT_MAX',
    doc: 'Last loopback port for jobs on the host network that let the host choose.',
    fallback: 21_999,
    min: 1024,
    max: 65_535,
  }),
  memoryReserveBytes: numberSetting({
    env: 'GANTRY_MEMORY_RESERVE',
    doc: 'Bytes of memory that jobs do not get: for the kernel, the engine and this daemon.',
    fallback: 512 * 1024 * 1024,
    min: 0,
    max: 1024 ** 4,
  }),
  hostLeaseMs: numberSetting({
    env: 'GANTRY_HOST_LEASE_MS',
    doc: 'How long a machine counts as there after it was last heard of; the same on all machines of a cluster.',
    fallback: 10_000,
    min: 2000,
    max: 600_000,
  }),
};

export type HostSettings = SettingsOf<typeof hostSettings>;

/** Who this host is; script/up writes it down once. */
export interface HostIdentity {
  hostId: string;
  clusterId: string;
  name: string;
  /** Where other hosts reach it. */
  address: string;
  /** The one folder of Gantry: `/var/lib/gantry`. */
  home: string;
  /** Of this daemon. */
  version: string;
}

export type HostConfig = HostIdentity & HostSettings;

/** App that may have host paths, the host network and capabilities. */
export const systemApp = 'app-gantry';
/**
 * A machine whose lease has been over for this long is lost to drains. More than what it takes all machines to be heard
   of again
 * after a cut of the store, when each of them has routers that are about to hear.
 */
export const silentGraceMs = 20_000;
/**
 * A drain waits this long for the router of a lost machine. Its HAProxy may serve clients still, behind a cut; but it
   cannot hear
 * that the instance drains, so that waiting longer lets nothing end that does not begin anew.
 */
export const lostRouterMs = 5_000;
/** Longest time between two passes of a job, and between two lists of the engine. */
export const resyncMs = 60_000;
/** Starts at once, per core: an engine gains nothing from more. */
export const startsPerCore = 2;
/** A dead container, its log files included, is kept this long. */
export const keepDeadMs = 600_000;
/** Dead containers kept per job. */
export const maxDeadPerJob = 3;
/** Probes in flight on one host. */
export const maxProbesAtOnce = 64;
/** Between probes until the first healthy one. */
export const startingProbeMs = 25;
/** First restart at once, then this long, doubling. */
export const restartMinMs = 1000;
export const restartMaxMs = 60_000;
/** An attempt that was up this long ends the series of restarts. */
export const restartResetMs = 300_000;
/** SIGKILL is sent again when a container still runs this long after it. */
export const killRetryMs = 10_000;
/** Grace of a container whose record is gone. */
export const orphanGraceMs = 10_000;
/** Output an attacher may fall behind before it is let go. */
export const attachBufferBytes = 1024 * 1024;
/** Log files of one container: the engine rotates at this size and keeps so many. */
export const logMaxBytes = 10 * 1024 * 1024;
export const logMaxFiles = 3;
/** Statuses written in one transaction: two compares and one put each. */
export const maxStatusesPerTxn = 33;
/** How often it is looked whether jobs that are gone still hold addresses. */
export const addressesEveryMs = 60_000;
/** Statuses wait this long for others to share a transaction. */
export const statusBatchMs = 5;
/** Rounds of planning in one pass; more is a plan that does not settle. */
export const maxRoundsPerPass = 64;
/** Longest wait for steps under way when the agent stops; each is safe to be cut off. */
export const stopLimitMs = 5_000;
