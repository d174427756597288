// What the operations of the API work with: doors of other components as narrow interfaces, so that tests script them.

import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import type { RemoteHa } from '#layer0/ha/client';
import type { HostClient } from '#layer0/host/client';
import type { MembershipClient } from '#layer0/membership/client';
import type { SchedulerClient } from '#layer0/scheduler/client';
import type { Store } from '#layer0/store/client';
import type { Builder } from '#layer1/builder/client';
import type { LogEntry, LogQuery } from '#layer1/logs/wire';
import type { BuildQueue } from './build-queue.ts';
import type { Observer } from './observe.ts';

export type HostPort = Pick<
  HostClient,
  | 'seal'
  | 'open'
  | 'importImages'
  | 'inspectImage'
  | 'spreadImage'
  | 'attach'
  | 'exec'
  | 'execExitCode'
  | 'resize'
  | 'signal'
  | 'status'
  | 'memberReports'
>;

export type MembershipPort = Pick<MembershipClient, 'createToken' | 'list' | 'remove'>;

export type SchedulerPort = Pick<SchedulerClient, 'runEphemeral' | 'stopJob'>;

/** Where the store is, and the way to three machines. */
export type HaPort = Pick<RemoteHa, 'status' | 'move'>;

export type BuilderPort = Pick<Builder, 'build'>;

export interface LogsPort {
  read(query: LogQuery, signal: AbortSignal): AsyncGenerator<LogEntry>;
}

/** Settings that operations look at. */
export interface Settings {
  domain: string;
  scheme: string;
  httpPort: number;
  httpsPort: number;
  tcpPortMin: number;
  tcpPortMax: number;
  deploySlackMs: number;
  deploySteadyMs: number;
  buildTimeoutMs: number;
}

export interface Context {
  store: Store;
  observer: Observer;
  host: HostPort;
  membership: MembershipPort;
  ha: HaPort;
  scheduler: SchedulerPort;
  builder: BuilderPort;
  builds: BuildQueue;
  logs: LogsPort;
  clock: Clock;
  random: Random;
  log: Log;
  settings: Settings;
}

/** Who calls: a token's owner, or another process of Gantry. */
export interface Caller {
  id: string;
  name: string;
}

/** Where people find a domain that the router serves. */
export function urlOf({ scheme, httpPort, httpsPort }: Settings, domain: string): string {
  const isTls = scheme === 'https';
  const port = isTls ? httpsPort : httpPort;
  return `${scheme}://${domain}${port === (isTls ? 443 : 80) ? '' : `:${port}`}/`;
}
