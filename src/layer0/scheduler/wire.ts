// The desired state of the Grid: formations (what should run) and jobs (what runs where).
// One key, one writer:
//   scheduler/formations/<app>/<release>   written by whoever owns the app (controller, bootstrap)
//   scheduler/jobs/<id>                    written by schedulers: what, where, and whether it should run
//   scheduler/claims/apps/<app>            written by schedulers with every change of the app's set of jobs
//   scheduler/claims/hosts/<host>          written by schedulers with every placement on the host
//   scheduler/rebalances/<app>             an operator asks for it; the scheduler deletes it when all is even
//   host/status/<id>                       written by the host that runs it (layer0/host/wire.ts)

import { oneOf, type Static, Type } from '#core/schema';

export const formationPrefix = 'scheduler/formations/';
export const jobPrefix = 'scheduler/jobs/';
export const appClaimPrefix = 'scheduler/claims/apps/';
export const hostClaimPrefix = 'scheduler/claims/hosts/';
export const rebalancePrefix = 'scheduler/rebalances/';
export const appClaimKey = (app: string) => `${appClaimPrefix}${app}`;
export const hostClaimKey = (host: string) => `${hostClaimPrefix}${host}`;
export const rebalanceKey = (app: string) => `${rebalancePrefix}${app}`;
export const formationKey = (app: string, release: string) => `${formationPrefix}${app}/${release}`;
export const jobKey = (id: string) => `${jobPrefix}${id}`;

/** Names of process types: part of the names of services. */
export const processTypePattern = '^[a-z][a-z0-9-]{0,29}$';
/** Most process types of a formation. */
export const maxProcessTypes = 30;

export const portSchema = Type.Object({
  name: Type.String({ description: "`http`, or a name of the process's own." }),
  port: Type.Integer({
    minimum: 0,
    maximum: 65535,
    description: 'In the container; 0 with network=host: the host chooses and says so in PORT.',
  }),
  protocol: oneOf('tcp', 'udp'),
  hostPort: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 65535,
      description: 'With network=app: this port of the machine leads to it, on all addresses.',
    }),
  ),
});

export const healthCheckSchema = Type.Object({
  type: oneOf('tcp', 'http', 'command', 'none'),
  port: Type.Optional(
    Type.String({ description: 'Name of the port to probe; the first one when absent.' }),
  ),
  path: Type.Optional(
    Type.String({ description: 'For http: any status from 200 to 399 is healthy.' }),
  ),
  command: Type.Optional(
    Type.Array(Type.String(), {
      description: 'For command: run in the container, exit 0 is healthy.',
    }),
  ),
  intervalMs: Type.Integer({ minimum: 100 }),
  timeoutMs: Type.Integer({ minimum: 50 }),
  startTimeoutMs: Type.Integer({
    minimum: 1000,
    description: 'Not healthy this long after its start: the attempt has failed.',
  }),
  failures: Type.Integer({
    minimum: 1,
    description: 'Failed probes in a row that take an instance out of discovery.',
  }),
});

export const mountSchema = Type.Object({
  volume: Type.Optional(Type.String({ description: 'A volume of the app, by name.' })),
  hostPath: Type.Optional(
    Type.String({ description: 'A folder of the machine: system jobs only.' }),
  ),
  path: Type.String({ description: 'Where the container sees it.' }),
  isReadOnly: Type.Boolean(),
});

/** Everything a host needs to run one process. Immutable once a job has it. */
export const jobSpecSchema = Type.Object({
  image: Type.String({ description: 'Image id, `sha256:...`: the config digest.' }),
  command: Type.Optional(
    Type.Array(Type.String(), { description: "Replaces the image's command." }),
  ),
  entrypoint: Type.Optional(
    Type.Array(Type.String(), { description: "Replaces the image's entrypoint." }),
  ),
  workingDir: Type.Optional(Type.String()),
  user: Type.Optional(Type.String()),
  env: Type.Record(Type.String(), Type.String(), {
    description: 'Plain values Gantry sets itself.',
  }),
  sealedEnv: Type.Record(Type.String(), Type.String(), {
    description: "The app's config, sealed (layer0/host/seal.ts); opened at container creation.",
  }),
  ports: Type.Array(portSchema),
  network: oneOf('app', 'host', 'none'),
  health: healthCheckSchema,
  resources: Type.Object({
    memoryBytes: Type.Integer({ minimum: 4 * 1024 * 1024 }),
    cpuMillis: Type.Integer({
      minimum: 1,
      description: '1000 is one core. A share under contention, not a cap.',
    }),
    pids: Type.Integer({ minimum: 1 }),
  }),
  mounts: Type.Array(mountSchema),
  tags: Type.Record(Type.String(), Type.String(), { description: 'Host tags that must match.' }),
  stopGraceMs: Type.Integer({ minimum: 0, description: 'From SIGTERM to SIGKILL.' }),
  drainMs: Type.Integer({
    minimum: 0,
    description: 'Longest wait, out of discovery and before SIGTERM, for requests to end.',
  }),
  restart: oneOf('always', 'never'),
  tty: Type.Boolean(),
  openStdin: Type.Boolean(),
  capabilities: Type.Array(Type.String(), { description: 'Added to none: system jobs only.' }),
  stopSignal: Type.Optional(Type.String({ description: 'Instead of SIGTERM.' })),
});
export type JobSpec = Static<typeof jobSpecSchema>;

/** A tag that every host has: its id. */
export const hostIdTag = 'host.id';

export const constraintSchema = Type.Object({
  tag: Type.String({ minLength: 1, description: 'Name of a host tag.' }),
  operator: oneOf('in', 'not-in', 'exists', 'absent'),
  values: Type.Optional(
    Type.Array(Type.String(), {
      description: 'With in and not-in. A host without the tag has none.',
    }),
  ),
});
export type Constraint = Static<typeof constraintSchema>;

export const neighbourRuleSchema = Type.Object({
  type: Type.String({ description: 'A process type, whichever its release.' }),
  app: Type.Optional(Type.String({ description: 'Id of its app; the own one when absent.' })),
  isRequired: Type.Boolean({ description: 'Rather no place than another one; else a wish.' }),
});
export type NeighbourRule = Static<typeof neighbourRuleSchema>;

/** Where jobs of a process type may be and would rather be. They count when a job is placed and never move it. */
export const placementRulesSchema = Type.Object({
  spreadBy: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'A host tag, e.g. `zone`: as many jobs of the group for each of its values, before hosts are compared.',
    }),
  ),
  constraints: Type.Optional(
    Type.Array(constraintSchema, { description: 'All must hold, besides the tags of the spec.' }),
  ),
  near: Type.Optional(
    Type.Array(neighbourRuleSchema, { description: 'On hosts that run one of each.' }),
  ),
  apart: Type.Optional(
    Type.Array(neighbourRuleSchema, {
      description:
        'On hosts that run none; where it is required, they do not come to this one, either.',
    }),
  ),
});

export type PlacementRules = Static<typeof placementRulesSchema>;

/** Of process types and jobs; see examples/own-scheduler. */
const ownScheduler = Type.String({
  minLength: 1,
  maxLength: 63,
  description: 'Name of a scheduler of your own that places it; absent: one of ours does.',
});

const singleton = Type.Boolean({
  description: 'Only one of its process type runs at once, whichever its release, whatever fails.',
});

/** One that is there beside the job it is to take the place of, for as long as both are wanted. */
export const replacementSchema = Type.Object({
  job: Type.String({ description: 'Stopped once this one is healthy.' }),
  because: oneOf('drain', 'rebalance'),
  drainSince: Type.Optional(
    Type.Integer({
      description: 'The drain by its beginning: another one of that host is not meant.',
    }),
  ),
});

export const formationSchema = Type.Object({
  app: Type.String(),
  appName: Type.String({ description: 'Names in discovery: `web.<appName>`.' }),
  release: Type.String(),
  releaseVersion: Type.Integer(),
  priority: Type.Integer({ description: 'Higher is placed first; the system app has 1000.' }),
  processes: Type.Record(
    Type.String(),
    Type.Object({
      quantity: Type.Integer({ minimum: 0 }),
      isOnePerHost: Type.Boolean({
        description: 'One on every host instead of `quantity` in all; 0 is none.',
      }),
      isSingleton: Type.Optional(singleton),
      placement: oneOf('spread', 'binpack'),
      rules: Type.Optional(placementRulesSchema),
      scheduler: Type.Optional(ownScheduler),
      spec: jobSpecSchema,
    }),
  ),
});
export type Formation = Static<typeof formationSchema>;

export const jobSchema = Type.Object({
  id: Type.String(),
  kind: oneOf('service', 'ephemeral'),
  app: Type.String(),
  appName: Type.String(),
  release: Type.String(),
  releaseVersion: Type.Integer(),
  type: Type.String({ description: 'Process type: web, worker, run, build.' }),
  index: Type.Integer({
    minimum: 1,
    description:
      'The lowest free number of its app and type: `web.1`. A one-off takes the next of its app: `run.7`.',
  }),
  spec: jobSpecSchema,
  priority: Type.Integer(),
  host: Type.Optional(Type.String({ description: 'Absent: pending.' })),
  placement: oneOf('spread', 'binpack'),
  isOnePerHost: Type.Optional(
    Type.Boolean({ description: 'Never two of its release and type on one host.' }),
  ),
  isSingleton: Type.Optional(singleton),
  replaces: Type.Optional(replacementSchema),
  rules: Type.Optional(placementRulesSchema),
  scheduler: Type.Optional(ownScheduler),
  pendingReason: Type.Optional(
    Type.String({
      description: 'Why it is not placed, for people: `no host matches tag disk=ssd (2 hosts)`.',
    }),
  ),
  moveReason: Type.Optional(
    Type.String({ description: 'Why it is still on a host that is being drained, for people.' }),
  ),
  desired: oneOf('up', 'down'),
  createdAt: Type.Integer({ description: 'Milliseconds since the epoch.' }),
});
export type Job = Static<typeof jobSchema>;

/** Its revision is what counts: two schedulers that decided on the same state cannot both change it. */
export const claimSchema = Type.Object({
  by: Type.String({ description: 'Who claimed last, for people.' }),
  lastEphemeralIndex: Type.Optional(
    Type.Integer({ description: 'Of an app: the number its last one-off job got.' }),
  ),
});
export type Claim = Static<typeof claimSchema>;
