// When does a machine count as silent?

import { numberSetting } from '#core/config';

/** How often a machine is asked while it answers. */
export const askEveryMs = 1_000;
/** How long it may take to answer, and how often it is asked while it does not. */
export const answerMs = 500;
/** Who got no answer from anybody so many times in a row is the one that is cut off. */
export const deafAfter = 3;

export const failureDetectorSettings = {
  hostSilentMs: numberSetting({
    env: 'GANTRY_HOST_SILENT_MS',
    doc: 'How long the kernel of a machine may answer none of those that listen for it before its jobs start elsewhere; singletons and jobs with volumes wait for the end of its lease. 0: all do.',
    fallback: 4_500,
    min: 0,
    max: 3_600_000,
  }),
};
