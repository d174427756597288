// A build: source in, image and process types out.

import type { Image } from '#layer0/images/wire';

/** Process type of a build job. */
export const buildType = 'build';

export interface BuildRequest {
  /** App id and name. */
  app: string;
  appName: string;
  /** Who the image belongs to and what it was made of, for its labels. */
  commit: string;
  /** The app's config, opened: visible to buildpacks in ENV_DIR. */
  env: Record<string, string>;
  /** Longest time for the whole build, milliseconds. */
  timeoutMs: number;
  /** The machine to build on when it has room for it; absent: any. */
  host?: string;
}

export interface BuildResult {
  image: Image;
  /** Process type to its command line, from the Procfile, the buildpack's defaults or the image itself (`web` without command). */
  processes: Record<string, { command?: string[]; entrypoint?: string[]; port?: number }>;
  buildpack: string;
  /** The machine that built it and has the image. */
  host?: string;
}

export type BuildOutput = { line: string } | { result: BuildResult };

/** How the mark of a result line begins; random hexadecimal digits follow, others for each build. */
export const resultMarkStart = 'gantry-result-';
/** Random bytes of a mark. */
export const resultMarkBytes = 12;

const resultLine = new RegExp(`^${resultMarkStart}[0-9a-f]{${2 * resultMarkBytes}} `);

/** Whether a line of a build job is its last word to the builder, which is not for people. */
export function isResultLine({ type, text }: { type: string; text: string }): boolean {
  return type === buildType && resultLine.test(text);
}
