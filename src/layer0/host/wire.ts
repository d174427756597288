// What a host says about itself and its jobs. One key, one writer:
//   hosts/<id>               the machine itself: who it is, what it has           (host agent)
//   host/alive/<id>          present while the agent's lease lives                (host agent, lease)
//   host/load/<id>           how busy it is, by its own measure                   (host agent)
//   host/silent/<id>         which machines it listens for and does not hear            (host agent, lease)
//   host/tags/<id>           what an operator says about it                       (operator, through the API)
//   host/drains/<id>         present while its jobs are to go elsewhere           (operator, through the API)
//   host/status/<jobId>      how far a job is, here                               (the host it is placed on)

import { oneOf, type Static, Type } from '#core/schema';

export const hostPrefix = 'hosts/';
export const hostAlivePrefix = 'host/alive/';
export const hostLoadPrefix = 'host/load/';
export const hostSilentPrefix = 'host/silent/';
export const hostTagsPrefix = 'host/tags/';
export const hostDrainPrefix = 'host/drains/';
export const statusPrefix = 'host/status/';
export const hostKey = (id: string) => `${hostPrefix}${id}`;
export const hostAliveKey = (id: string) => `${hostAlivePrefix}${id}`;
export const hostTagsKey = (id: string) => `${hostTagsPrefix}${id}`;
export const hostDrainKey = (id: string) => `${hostDrainPrefix}${id}`;
/** Besides its own record: what goes with it. */
export const aboutHost = (id: string) =>
  [hostAlivePrefix, hostLoadPrefix, hostSilentPrefix, hostTagsPrefix, hostDrainPrefix].map(
    (prefix) => prefix + id,
  );
export const statusKey = (jobId: string) => `${statusPrefix}${jobId}`;

export const hostSchema = Type.Object({
  id: Type.String(),
  name: Type.String(),
  address: Type.String({ description: 'Where other hosts reach it.' }),
  engineVersion: Type.String(),
  bootId: Type.String({ description: 'Changes with every boot of the machine.' }),
  version: Type.String({ description: 'Of the host daemon.' }),
  memoryBytes: Type.Integer({ description: "Given to jobs: the machine's less a reserve." }),
  cpuMillis: Type.Integer(),
  registeredAt: Type.Integer(),
});
export type Host = Static<typeof hostSchema>;

/** What a host measures, besides what its jobs were promised. */
export const hostLoadSchema = Type.Object({
  busyPercent: Type.Integer({
    minimum: 0,
    maximum: 100,
    description: 'The larger of the shares of processor time and of memory that are in use.',
  }),
});
export type HostLoad = Static<typeof hostLoadSchema>;

/** What a host does not hear; no record says that it hears all that it listens for. */
export const hostSilentSchema = Type.Object({
  hosts: Type.Array(Type.String(), {
    description: 'Ids of machines whose kernel does not answer.',
  }),
});
export type HostSilent = Static<typeof hostSilentSchema>;

/** What an operator wants of a host: present while it gets no more jobs and gives away those it has. */
export const hostDrainSchema = Type.Object({
  since: Type.Integer({ description: 'Unix time in milliseconds.' }),
  by: Type.String({ description: 'Who asked, for people.' }),
});
export type HostDrain = Static<typeof hostDrainSchema>;

/** pending and placed are the scheduler's words (no status yet); these are the host's. `(attempt, state)` only grows. */
export const jobStates = [
  'pending',
  'placed',
  'starting',
  'up',
  'stopping',
  'failed',
  'down',
] as const;
export type JobState = (typeof jobStates)[number];

export const jobStatusSchema = Type.Object({
  jobId: Type.String(),
  host: Type.String(),
  attempt: Type.Integer({ minimum: 1 }),
  state: oneOf('starting', 'up', 'stopping', 'down', 'failed'),
  isHealthy: Type.Boolean(),
  /** Why it is in this state or what it waits for: `exit 1; restart 4 in 8 s`, `pulling`, `address`. */
  reason: Type.Optional(Type.String()),
  containerId: Type.Optional(Type.String()),
  address: Type.Optional(
    Type.String({
      description: "IP of the container in its app's network, 127.0.0.1 with network=host.",
    }),
  ),
  ports: Type.Record(Type.String(), Type.Integer(), {
    description: 'Port name to the number that is really listened on.',
  }),
  exitCode: Type.Optional(Type.Integer()),
  isOutOfMemory: Type.Optional(Type.Boolean()),
  restartAt: Type.Optional(
    Type.Integer({ description: 'When the next attempt begins, while failed and backing off.' }),
  ),
  restarts: Type.Optional(
    Type.Integer({ description: 'Restarts in a row; five minutes up set it back to 0.' }),
  ),
  startedAt: Type.Optional(Type.Integer()),
  endedAt: Type.Optional(Type.Integer()),
  updatedAt: Type.Integer(),
});
export type JobStatus = Static<typeof jobStatusSchema>;

/** The part of the host's status that others read. */
export const unknownContainersSchema = Type.Object({
  count: Type.Integer({
    description:
      'Containers of this cluster that were made under another store and have no record in this one.',
  }),
  names: Type.Array(Type.String(), { description: 'The first of them.' }),
});
export type UnknownContainers = Static<typeof unknownContainersSchema>;
/** What the machine's DNS process looks like from outside of it. */
export const dnsReportSchema = Type.Object({
  address: Type.String({ description: 'Of one app network: where it was asked.' }),
  isAnswering: Type.Boolean(),
});
export type DnsReport = Static<typeof dnsReportSchema>;
const answerSchema = Type.Object({
  isAnswering: Type.Boolean(),
  message: Type.Optional(Type.String({ description: 'What came instead of an answer.' })),
});
/** The part of a daemon's status that others read. One of another version may lack any of it. */
export const hostReportSchema = Type.Object({
  host: Type.Optional(Type.String({ description: 'Its id.' })),
  cluster: Type.Optional(Type.String({ description: 'Id of the cluster that it belongs to.' })),
  version: Type.Optional(Type.String({ description: 'Which sources its daemon was built from.' })),
  now: Type.Optional(Type.Integer({ description: 'Its clock, Unix time in milliseconds.' })),
  unknownContainers: Type.Optional(unknownContainersSchema),
  dns: Type.Optional(dnsReportSchema),
  overlay: Type.Optional(
    Type.Object(
      {
        count: Type.Integer(),
        commands: Type.Array(Type.String(), { description: 'The first; each would mend one.' }),
      },
      {
        description:
          'In what tunnels and routes to other machines differ from the records, where `checks` was asked for.',
      },
    ),
  ),
  disk: Type.Optional(
    Type.Object(
      { freeBytes: Type.Integer(), totalBytes: Type.Integer() },
      {
        description: "Of the folder of Gantry, which has the store and the apps' volumes.",
      },
    ),
  ),
  engine: Type.Optional(answerSchema),
  storeAnswer: Type.Optional(answerSchema),
  store: Type.Optional(
    Type.Object({}, { description: 'How the store is, as its engine says it there.' }),
  ),
  certificateEndsAt: Type.Optional(Type.Integer()),
  failingLoops: Type.Optional(
    Type.Array(Type.Object({ name: Type.String(), message: Type.String() }), {
      description: 'What its daemon tries again and again without success.',
    }),
  ),
  scheduler: Type.Optional(
    Type.Object({
      schedulers: Type.Array(
        Type.Object({
          name: Type.String(),
          isLeader: Type.Boolean(),
          commits: Type.Integer(),
          conflicts: Type.Integer(),
        }),
      ),
    }),
  ),
});
export type HostReport = Static<typeof hostReportSchema>;

/** A machine of the cluster, as another one sees it. */
export const memberReportSchema = Type.Object({
  hostId: Type.String(),
  name: Type.String(),
  address: Type.String(),
  report: Type.Optional(hostReportSchema),
  error: Type.Optional(Type.String({ description: 'Why there is no report.' })),
  roundTripMs: Type.Optional(Type.Integer({ description: 'How long the answer took.' })),
  clockAheadMs: Type.Optional(
    Type.Integer({ description: 'Its clock less ours, exact to half of the round trip.' }),
  ),
});
export type MemberReport = Static<typeof memberReportSchema>;

/** Options of an attach, as JSON in the query of the upgrade. */
export const attachQuerySchema = Type.Object({
  stdin: Type.Boolean(),
  replay: Type.Boolean(),
});

export const execQuerySchema = Type.Object({
  command: Type.Array(Type.String({ maxLength: 8192 }), { minItems: 1, maxItems: 256 }),
  tty: Type.Boolean(),
  env: Type.Optional(Type.Record(Type.String(), Type.String())),
  user: Type.Optional(Type.String({ maxLength: 64 })),
  rows: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
  cols: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
});

/** The first line of an attach or exec, before the process's bytes. */
export const streamHeadSchema = Type.Object({
  tty: Type.Boolean(),
  execId: Type.Optional(Type.String()),
});

export const signalName = Type.String({ pattern: '^SIG[A-Z0-9+]{2,12}$' });

export const sealSchema = Type.Object({
  context: Type.String({ minLength: 1, maxLength: 512, description: '`<app id>/<name>`.' }),
  text: Type.String({ maxLength: 1024 * 1024 }),
});
