// The management API's objects, and the keys the controller keeps them under. Every key here has one writer: the controller.
//   controller/apps/<id>                     an app
//   controller/app-names/<name>              { app: its id }: the name is taken
//   controller/releases/<app>/<version>      immutable; version zero-padded to 8 digits, so that it sorts
//   controller/deployments/<app>/<id>        a rollout and how far it is
//   controller/tokens/<sha256 of the token>  who may call
//   controller/events/<time>-<random>        capped history; written by the commit it tells of, whose revision is its id
//   controller/idempotency/<sha256>          what a create with an Idempotency-Key made, kept a day
// It also writes, for layer 0 to read: formations (scheduler), routes and certificates (router), and
//   network/tombstones/<app>                 the app is gone: its network may go
//   images/kept/<image id>                   a release needs the image: never collect it

import { oneOf, type Static, Type } from '#core/schema';
import { healthCheckSchema, jobSpecSchema, placementRulesSchema } from '#layer0/scheduler/wire';

export { type Backup, type BackupHeader, readBackup, writeBackup } from './backup-file.ts';

/** Names of apps: a DNS label, so that it can be part of a host name. */
export const appNamePattern = '^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$';
export const envNamePattern = '^[A-Za-z_][A-Za-z0-9_]{0,127}$';
/** Longest value of one config variable, bytes; all of an app's together fit in half a store transaction. */
export const maxEnvValueBytes = 32 * 1024;
/** Config variables of one app. */
export const maxEnvValues = 1000;
export const maxEnvTotalBytes = 256 * 1024;
/** The app that Gantry's own processes are, and its fixed id. */
export const systemApp = 'gantry';
export const systemAppId = 'app-gantry';

/** Caps of what grows. Releases, finished deployments: of each app. */
export const maxReleasesPerApp = 50;
/** Of the platform itself: each holds a system image on every machine. The present one, and two to go back to. */
export const maxSystemReleases = 3;
export const maxDeploymentsPerApp = 50;
export const maxEvents = 10_000;
/** Most jobs of one process type. */
export const maxQuantity = 1000;

export const appPrefix = 'controller/apps/';
export const deploymentRoot = 'controller/deployments/';
export const tokenPrefix = 'controller/tokens/';
export const eventPrefix = 'controller/events/';
export const idempotencyPrefix = 'controller/idempotency/';
export const networkTombstonePrefix = 'network/tombstones/';
export const keptImagePrefix = 'images/kept/';
export const appKey = (id: string) => `${appPrefix}${id}`;
export const appNameKey = (name: string) => `controller/app-names/${name}`;
export const releasePrefix = (app: string) => `controller/releases/${app}/`;
export const releaseKey = (app: string, version: number) =>
  `${releasePrefix(app)}${String(version).padStart(8, '0')}`;
export const deploymentPrefix = (app: string) => `${deploymentRoot}${app}/`;
export const deploymentKey = (app: string, id: string) => `${deploymentPrefix(app)}${id}`;
export const tokenKey = (sha256: string) => `${tokenPrefix}${sha256}`;
export const eventKey = (time: number, suffix: string) =>
  `${eventPrefix}${String(time).padStart(16, '0')}-${suffix}`;
export const networkTombstoneKey = (app: string) => `${networkTombstonePrefix}${app}`;
export const idempotencyKey = (sha256: string) => `${idempotencyPrefix}${sha256}`;
export const keptImageKey = (imageId: string) => `${keptImagePrefix}${imageId}`;

export const deploymentStrategies = ['rolling', 'one-by-one', 'in-batches', 'all-at-once'] as const;

export const priorities = ['low', 'normal', 'high'] as const;

/** What `images/kept/<image id>` holds. A mark with `keptFor` is not the controller's, and stays. */
export interface KeptMark {
  at?: number;
  keptFor?: string;
}

/** What `controller/app-names/<name>` holds. */
export interface NameClaim {
  app: string;
}

const portNumber = { minimum: 1, maximum: 65535 };
const hostPortSchema = Type.Object(
  {
    hostPort: Type.Integer({ ...portNumber, description: 'Of the machine, on all its addresses.' }),
    port: Type.Optional(
      Type.Integer({ ...portNumber, description: 'Of the process; the same when absent.' }),
    ),
    protocol: oneOf('tcp', 'udp'),
  },
  { additionalProperties: false },
);
export type MachinePort = Static<typeof hostPortSchema>;

/** Where the processes of a type may be and would rather be; what is not said is spread over all machines. */
export const placementSchema = Type.Object(
  {
    ...placementRulesSchema.properties,
    count: Type.Optional(oneOf('singleton', 'per-host')),
    isPacked: Type.Optional(
      Type.Boolean({ description: 'On as few machines as hold them, instead of spread.' }),
    ),
    hostPorts: Type.Optional(
      Type.Array(hostPortSchema, {
        maxItems: 20,
        description: 'On each machine one process has them; a rollout stops it before the next.',
      }),
    ),
  },
  {
    additionalProperties: false,
    description:
      'With `count`: `singleton` runs once at most whatever fails, `per-host` once on each machine.',
  },
);
export type Placement = Static<typeof placementSchema>;

export const appSchema = Type.Object({
  id: Type.String(),
  name: Type.String({ pattern: appNamePattern }),
  strategy: oneOf(...deploymentStrategies),
  batchSize: Type.Integer({ minimum: 1, description: 'For in-batches.' }),
  /** The release that should run: set when a deployment completes, not before. */
  currentRelease: Type.Optional(Type.String()),
  currentVersion: Type.Optional(Type.Integer({ description: 'Its version, for people.' })),
  /** How many of each process type the user wants, whichever release runs. Unsaid: one `web`, none of the others. */
  quantities: Type.Record(Type.String(), Type.Integer({ minimum: 0 })),
  limits: Type.Record(
    Type.String(),
    Type.Object({ memoryBytes: Type.Integer(), cpuMillis: Type.Integer(), pids: Type.Integer() }),
  ),
  placements: Type.Optional(Type.Record(Type.String(), placementSchema)),
  /** Whose processes get a place first; unsaid: normal. */
  priority: Type.Optional(oneOf(...priorities)),
  isSystem: Type.Boolean(),
  /** Set by a delete: jobs, routes, network, images and records go, then the app itself. */
  isDeleting: Type.Boolean(),
  createdAt: Type.Integer(),
});
export type App = Static<typeof appSchema>;

/** Requests name no field that the API does not know: a slip of the pen is an error, not silence. */
export const strict = { additionalProperties: false };

export const processTypeSchema = Type.Object(
  {
    command: Type.Optional(Type.Array(Type.String())),
    entrypoint: Type.Optional(Type.Array(Type.String())),
    port: Type.Optional(
      Type.Integer({
        description: 'What it listens on; PORT says so. Only `web` has one unless said.',
      }),
    ),
    health: Type.Optional(healthCheckSchema),
  },
  strict,
);
export type ProcessType = Static<typeof processTypeSchema>;

export const releaseSchema = Type.Object({
  id: Type.String(),
  app: Type.String(),
  version: Type.Integer({ minimum: 1, description: 'v1, v2, ... within the app.' }),
  imageId: Type.Optional(Type.String({ description: 'Absent while an app has only config.' })),
  /** Config variables, each sealed with the context `<app id>/<name>`. */
  sealedEnv: Type.Record(Type.String(), Type.String()),
  processes: Type.Record(Type.String(), processTypeSchema),
  /** Full job specs instead of `processes`, for the system app. */
  systemSpecs: Type.Optional(Type.Record(Type.String(), jobSpecSchema)),
  /** Process types that run once on every host: of the system app. Their quantity is 1 (on) or 0 (off). */
  onePerHost: Type.Optional(Type.Array(Type.String())),
  /** By process type, as the app had them when the release was made. */
  placements: Type.Optional(Type.Record(Type.String(), placementSchema)),
  copies: Type.Optional(
    Type.Record(Type.String(), Type.Integer(), {
      description:
        'Process types of the system app of which so many run where there are so many machines.',
    }),
  ),
  description: Type.String({ description: '`Deploy 3f2a9c1`, `Set K`, `Roll back to v3`.' }),
  commit: Type.Optional(Type.String()),
  builtOn: Type.Optional(
    Type.String({
      description: 'Host id: the next build of the app begins there, beside its cache.',
    }),
  ),
  createdBy: Type.String({ description: 'Name of the token.' }),
  createdAt: Type.Integer(),
});
export type Release = Static<typeof releaseSchema>;

export const deploymentStateSchema = oneOf(
  'pending',
  'running',
  'rolling-back',
  'complete',
  'failed',
  'superseded',
);
export const deploymentSchema = Type.Object({
  id: Type.String(),
  app: Type.String(),
  /** What it goes back to when it fails: absent while no other release of the app was healthy. */
  oldRelease: Type.Optional(Type.String()),
  newRelease: Type.String(),
  oldVersion: Type.Optional(Type.Integer()),
  newVersion: Type.Integer({ description: 'v6: what people call the release.' }),
  strategy: oneOf(...deploymentStrategies),
  batchSize: Type.Integer(),
  state: deploymentStateSchema,
  /** Why it failed or what it waits for, for people: `web.2 exited with 1 three times`. */
  reason: Type.Optional(Type.String()),
  createdAt: Type.Integer(),
  endedAt: Type.Optional(Type.Integer()),
  /** When the last step forward was seen; no step for the deploy timeout fails it. */
  progressAt: Type.Integer(),
});
export type Deployment = Static<typeof deploymentSchema>;

export const tokenSchema = Type.Object({
  id: Type.String(),
  name: Type.String(),
  createdAt: Type.Integer(),
});
export type Token = Static<typeof tokenSchema>;

/** A job as people see it: the scheduler's record and the host's status in one. */
export const jobViewSchema = Type.Object({
  id: Type.String(),
  name: Type.String({ description: '`web.1`.' }),
  type: Type.String(),
  kind: oneOf('service', 'ephemeral'),
  release: Type.String(),
  version: Type.Integer(),
  state: oneOf('pending', 'placed', 'starting', 'up', 'stopping', 'down', 'failed'),
  isHealthy: Type.Boolean(),
  isSilent: Type.Optional(
    Type.Literal(true, {
      description: 'Its machine is not heard of: the state is what that machine said last.',
    }),
  ),
  attempt: Type.Integer(),
  reason: Type.Optional(Type.String()),
  host: Type.Optional(Type.String()),
  hostName: Type.Optional(Type.String()),
  why: Type.Optional(
    Type.String({ description: 'Why it is on that machine, and not on another.' }),
  ),
  address: Type.Optional(Type.String()),
  exitCode: Type.Optional(Type.Integer()),
  createdAt: Type.Integer(),
  startedAt: Type.Optional(Type.Integer()),
  endedAt: Type.Optional(
    Type.Integer({
      description: 'Of this attempt: while it is down, or failed and not yet started again.',
    }),
  ),
});
export type JobView = Static<typeof jobViewSchema>;

/** What a create with an Idempotency-Key made: the same key answers with the same object. */
export const idempotentSchema = Type.Object({
  /** sha256 of method, path and body: another request under the same key is an error. */
  fingerprint: Type.String(),
  app: Type.String(),
  deployment: Type.Optional(Type.String()),
  version: Type.Optional(Type.Integer()),
  job: Type.Optional(Type.String()),
  createdAt: Type.Integer(),
});
export type Idempotent = Static<typeof idempotentSchema>;

export const eventSchema = Type.Object({
  id: Type.Integer({
    description:
      'The revision of the commit that it tells of: grows, with gaps. Resume a stream with Last-Event-ID.',
  }),
  time: Type.Integer(),
  app: Type.Optional(Type.String()),
  type: Type.String({
    description:
      '`app.created`, `release.created`, `deployment.complete`, `job.failed`, `route.added`, ...',
  }),
  object: Type.String(),
  message: Type.String(),
});
export type Event = Static<typeof eventSchema>;
/** As it is kept: the entry's own revision is the id. */
export type StoredEvent = Omit<Event, 'id'>;

/** Lines of `POST /apps/:app/builds` and of a deployment's stream. The last one is `result` or `error`. */
export type ProgressLine =
  | { type: 'line'; text: string }
  | { type: 'result'; release: number; deployment: string; url?: string }
  | { type: 'error'; error: { code: string; message: string; detail?: unknown; retry: boolean } };
