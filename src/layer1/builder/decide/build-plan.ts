// How a source becomes an image: by its Dockerfile or by a buildpack. A pure choice from what the archive has at its top.

import type { BuildRequest } from '../wire.ts';
import { type CommandLines, parseProcfile } from './process-types.ts';

export interface SourceFacts {
  bytes: number;
  hasDockerfile: boolean;
  /** Text of the Procfile at the top, where there is one. */
  procfile?: string;
}

/** `buildpack` names the one the app asks for; without it the first that detects is taken. */
export type BuildPlan =
  | { kind: 'dockerfile'; commands: CommandLines | undefined }
  | { kind: 'buildpack'; buildpack: string | undefined };

/** The config variable by which an app chooses: a buildpack's name, or `dockerfile`. */
export const chooserVariable = 'GANTRY_BUILDPACK';

/** A Procfile is read here already, so that a bad one costs no build. */
export function planBuild(source: SourceFacts, request: BuildRequest): BuildPlan {
  const chosen = request.env[chooserVariable];
  const commands = source.procfile === undefined ? undefined : parseProcfile(source.procfile);
  const isByDockerfile = chosen === undefined ? source.hasDockerfile : chosen === 'dockerfile';
  if (isByDockerfile) return { kind: 'dockerfile', commands };
  return { kind: 'buildpack', buildpack: chosen };
}
