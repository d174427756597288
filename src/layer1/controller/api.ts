// What the management API takes and answers, where it is not a record as it is stored (wire.ts).

import { oneOf, type Static, Type } from '#core/schema';
import { processTypePattern } from '#layer0/scheduler/wire';
import {
  appNamePattern,
  appSchema,
  deploymentSchema,
  deploymentStateSchema,
  deploymentStrategies,
  maxQuantity,
  placementSchema,
  priorities,
  processTypeSchema,
  strict,
  tokenSchema,
} from './wire.ts';

export const createAppSchema = Type.Object(
  {
    name: Type.String({ pattern: appNamePattern }),
    strategy: Type.Optional(oneOf(...deploymentStrategies)),
    batchSize: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  },
  strict,
);
export type CreateApp = Static<typeof createAppSchema>;

const limitsSchema = Type.Object({
  memoryBytes: Type.Integer({ minimum: 4 * 1024 * 1024, maximum: 2 ** 50 }),
  cpuMillis: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
  pids: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
});

export const changeAppSchema = Type.Object(
  {
    strategy: Type.Optional(oneOf(...deploymentStrategies)),
    batchSize: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
    priority: Type.Optional(oneOf(...priorities)),
    limits: Type.Optional(
      Type.Record(Type.String({ pattern: processTypePattern }), Type.Partial(limitsSchema), {
        ...strict,
        description: 'By process type. A change is a new release, so that it is rolled out.',
      }),
    ),
    placements: Type.Optional(
      Type.Record(
        Type.String({ pattern: processTypePattern }),
        Type.Union([placementSchema, Type.Null()]),
        {
          ...strict,
          description:
            'By process type: all that is said about it, null for nothing. A change is a new release. Neighbours are named by the name or id of their app.',
        },
      ),
    ),
  },
  strict,
);
export type ChangeApp = Static<typeof changeAppSchema>;

/** An app and where it answers. */
export const appViewSchema = Type.Intersect([
  appSchema,
  Type.Object({
    urls: Type.Array(Type.String()),
    defaultLimits: Type.Object(limitsSchema.properties, {
      description: 'Of every process type that `limits` does not name.',
    }),
  }),
]);
export type AppView = Static<typeof appViewSchema>;

export const changeEnvSchema = Type.Object(
  {
    set: Type.Optional(Type.Record(Type.String(), Type.String())),
    unset: Type.Optional(Type.Array(Type.String(), { maxItems: 1000 })),
  },
  strict,
);
export type ChangeEnv = Static<typeof changeEnvSchema>;

export const deploySchema = Type.Object(
  {
    image: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 512,
        description: 'A reference or an id that this machine has.',
      }),
    ),
    release: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: 'Instead: deploy the content of this version again.',
      }),
    ),
    processes: Type.Optional(
      Type.Record(Type.String({ pattern: processTypePattern }), processTypeSchema, {
        ...strict,
        description: 'Process types of the image; one `web` when absent.',
      }),
    ),
    commit: Type.Optional(Type.String({ maxLength: 128 })),
    description: Type.Optional(Type.String({ maxLength: 200 })),
  },
  strict,
);
export type Deploy = Static<typeof deploySchema>;

export const rollbackSchema = Type.Object(
  {
    version: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  strict,
);

/** A release as people see it: config values hidden, and how its rollout went. */
export const releaseViewSchema = Type.Object({
  id: Type.String(),
  version: Type.Integer(),
  imageId: Type.Optional(Type.String()),
  env: Type.Record(Type.String(), Type.String(), { description: 'Names; every value is `***`.' }),
  processes: Type.Record(Type.String(), processTypeSchema),
  description: Type.String(),
  commit: Type.Optional(Type.String()),
  createdBy: Type.String(),
  createdAt: Type.Integer(),
  isCurrent: Type.Boolean(),
  /** Of its last deployment; absent when it never had one. */
  state: Type.Optional(deploymentStateSchema),
});
export type ReleaseView = Static<typeof releaseViewSchema>;

/** What a change of code or config made. Without an image there is nothing to roll out. */
export const releasedSchema = Type.Object({
  release: releaseViewSchema,
  deployment: Type.Optional(deploymentSchema),
});
export type Released = Static<typeof releasedSchema>;

export const formationViewSchema = Type.Object({
  quantities: Type.Record(Type.String(), Type.Integer({ minimum: 0 })),
});
export type FormationView = Static<typeof formationViewSchema>;

export const scaleSchema = Type.Object(
  {
    quantities: Type.Record(
      Type.String({ pattern: processTypePattern }),
      Type.Integer({ minimum: 0, maximum: maxQuantity }),
      strict,
    ),
  },
  strict,
);

export const runSchema = Type.Object(
  {
    command: Type.Array(Type.String({ maxLength: 32 * 1024 }), {
      maxItems: 1000,
      description: "Empty: the image's own command.",
    }),
    tty: Type.Optional(Type.Boolean()),
    stdin: Type.Optional(Type.Boolean({ description: 'Keep stdin open for an attach.' })),
    env: Type.Optional(Type.Record(Type.String(), Type.String())),
  },
  strict,
);
export type Run = Static<typeof runSchema>;

export const createRouteSchema = Type.Object(
  {
    type: Type.Optional(oneOf('http', 'tcp')),
    processType: Type.Optional(
      Type.String({ pattern: processTypePattern, description: 'Whose port: `web` when absent.' }),
    ),
    domain: Type.Optional(Type.String({ maxLength: 255 })),
    path: Type.Optional(Type.String({ maxLength: 1024 })),
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
    sendsProxyProtocol: Type.Optional(Type.Boolean()),
    redirectsToHttps: Type.Optional(Type.Boolean()),
  },
  strict,
);
export type CreateRoute = Static<typeof createRouteSchema>;

export const changeRouteSchema = Type.Object(
  {
    sendsProxyProtocol: Type.Optional(Type.Boolean()),
    redirectsToHttps: Type.Optional(Type.Boolean()),
  },
  strict,
);
export type ChangeRoute = Static<typeof changeRouteSchema>;

export const putCertificateSchema = Type.Object(
  {
    certificatePem: Type.String({ maxLength: 128 * 1024 }),
    keyPem: Type.String({ maxLength: 64 * 1024 }),
  },
  strict,
);

export const certificateViewSchema = Type.Object({
  domain: Type.String(),
  expiresAt: Type.Integer(),
});
export type CertificateView = Static<typeof certificateViewSchema>;

export const createTokenSchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100, pattern: '^[^\\x00-\\x1f]+$' }),
  },
  strict,
);

/** The secret is shown once, here. */
export const createdTokenSchema = Type.Intersect([
  tokenSchema,
  Type.Object({ token: Type.String() }),
]);
export type CreatedToken = Static<typeof createdTokenSchema>;

export const hostViewSchema = Type.Object({
  id: Type.String(),
  name: Type.String(),
  address: Type.String({ description: 'Where the other machines reach it.' }),
  state: oneOf('up', 'silent', 'joining'),
  reason: Type.Optional(Type.String({ description: 'Why it is not up, and what to do.' })),
  version: Type.Optional(Type.String({ description: 'Of the platform there.' })),
  engineVersion: Type.Optional(Type.String()),
  memoryBytes: Type.Optional(Type.Integer({ description: 'Given to jobs.' })),
  cpuMillis: Type.Optional(Type.Integer({ description: 'Thousandths of a processor.' })),
  busyPercent: Type.Optional(Type.Integer()),
  jobs: Type.Integer({ description: 'Placed there and not ended.' }),
  tags: Type.Record(Type.String(), Type.String()),
  drain: Type.Optional(
    Type.Object(
      {
        since: Type.Integer({ description: 'Unix time in milliseconds.' }),
        by: Type.String(),
        left: Type.Integer({ description: 'Processes that are still to leave.' }),
        bound: Type.Optional(
          Type.Integer({ description: 'Processes that stay because of a volume; absent: none.' }),
        ),
      },
      { description: 'It gets no processes, and gives away those it has; present while wanted.' },
    ),
  ),
});
export type HostView = Static<typeof hostViewSchema>;

/** A process on one machine, and what an operator who drains the machine wants to know of it. */
export const hostProcessSchema = Type.Object({
  id: Type.String(),
  app: Type.String({ description: 'Its name.' }),
  name: Type.String({ description: '`web.1`.' }),
  state: Type.String(),
  isStaying: Type.Boolean({
    description: 'A drain leaves it here: it runs on every machine, or has a volume of this one.',
  }),
  volume: Type.Optional(
    Type.String({ description: 'The volume of this machine that it has; volumes do not move.' }),
  ),
  waitsFor: Type.Optional(
    Type.String({ description: 'Why it is still here while the machine is drained.' }),
  ),
});
export type HostProcess = Static<typeof hostProcessSchema>;

export const hostDetailSchema = Type.Intersect([
  hostViewSchema,
  Type.Object({ processes: Type.Array(hostProcessSchema) }),
]);
export type HostDetail = Static<typeof hostDetailSchema>;

/** Names and values of tags. */
const tagPattern = '^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$';
export const changeTagsSchema = Type.Object(
  {
    tags: Type.Record(
      Type.String({ pattern: tagPattern }),
      Type.Union([Type.String({ pattern: tagPattern }), Type.Null()]),
      { ...strict, maxProperties: 50, description: 'By name; null takes one away.' },
    ),
  },
  strict,
);
export type ChangeTags = Static<typeof changeTagsSchema>;

export const joinTokenSchema = Type.Object({
  token: Type.String({ description: 'For `script/up --join`; shown once.' }),
  expiresAt: Type.Integer({ description: 'Unix time in milliseconds.' }),
});
export type JoinToken = Static<typeof joinTokenSchema>;

export const checkSchema = Type.Object({
  name: Type.String(),
  isOk: Type.Boolean(),
  message: Type.String({ description: 'What was found, and what to do when it is not right.' }),
});
export type Check = Static<typeof checkSchema>;

export const importedSchema = Type.Object({
  images: Type.Array(Type.Object({ id: Type.String(), tags: Type.Array(Type.String()) })),
});
