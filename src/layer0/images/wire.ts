// An image as the rest of Gantry knows it: identified by a digest, the same on every host with the same kind of image store.

import { type Static, Type } from '#core/schema';

export const imageSchema = Type.Object({
  id: Type.String({
    description:
      '`sha256:...` of its configuration, or where the engine goes by that, its manifest: the identity.',
  }),
  tags: Type.Array(Type.String()),
  sizeBytes: Type.Integer(),
  createdAt: Type.Integer(),
  command: Type.Array(Type.String()),
  entrypoint: Type.Array(Type.String()),
  exposedPorts: Type.Array(Type.Integer({ description: 'TCP ports the image declares.' })),
  user: Type.String(),
  workingDir: Type.String(),
  healthCommand: Type.Optional(
    Type.Array(Type.String(), { description: "The image's own HEALTHCHECK." }),
  ),
  labels: Type.Record(Type.String(), Type.String()),
});
export type Image = Static<typeof imageSchema>;

/** Labels that Gantry puts on what it makes; only labelled things are ever collected. */
export const imageLabels = { app: 'gantry.app', kind: 'gantry.kind' } as const;

/** Repository of the names that hold what a build made on its way: its tags are the build's and the stage's. */
export const unfinishedName = 'gantry/unfinished';
/** Repository of the images that the platform runs in, by version. */
export const systemName = 'gantry/system';
/** Repository of the names that mark what Gantry imported: see imported.ts. */
export const importedName = 'gantry/imported';

export const buildOptionsSchema = Type.Object({
  dockerfile: Type.String({ description: 'Path inside the tar.' }),
  tag: Type.String(),
  labels: Type.Record(Type.String(), Type.String()),
  buildArgs: Type.Record(Type.String(), Type.String()),
  memoryBytes: Type.Integer(),
  timeoutMs: Type.Integer(),
  networkMode: Type.Optional(
    Type.String({ description: "The engine's network for RUN steps; `none` keeps them offline." }),
  ),
});
export type BuildOptions = Static<typeof buildOptionsSchema>;

export const commitOptionsSchema = Type.Object({
  tag: Type.String(),
  labels: Type.Record(Type.String(), Type.String()),
  command: Type.Array(Type.String()),
  entrypoint: Type.Array(Type.String()),
  user: Type.String(),
  workingDir: Type.String(),
  env: Type.Record(Type.String(), Type.String()),
});
export type CommitOptions = Static<typeof commitOptionsSchema>;
