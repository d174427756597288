// Why a build did not give an image. All but `failed` and `timeout` are found before anything of the app runs.

import { defineErrors } from '#core/errors';

export const builderErrors = defineErrors('builder', {
  badSource: {
    status: 400,
    retry: false,
    doc: 'The source is not a tar archive, is cut off, or has an entry that cannot be part of an app; the message names it.',
  },
  sourceTooLarge: {
    status: 413,
    retry: false,
    doc: 'The source is larger than a build accepts. Keep large files out of the repository.',
  },
  badProcfile: {
    status: 422,
    retry: false,
    doc: 'A line of the Procfile is not `type: command`, or the Procfile names a type twice; the message has the line.',
  },
  noProcess: {
    status: 422,
    retry: false,
    doc: 'Neither a Procfile nor the buildpack says what to run. Add a Procfile with a line such as `web: node index.js`.',
  },
  failed: {
    status: 422,
    retry: false,
    doc: 'The build ended with an error; its output says which. Nothing that runs has changed.',
  },
  imageTooLarge: {
    status: 422,
    retry: false,
    doc: 'The image that came out is larger than an app may be. Leave out what does not run.',
  },
  timeout: {
    status: 422,
    retry: false,
    doc: 'The build took longer than it may and was ended. GANTRY_BUILD_TIMEOUT_MS is the limit.',
  },
  noStack: {
    status: 503,
    retry: false,
    doc: 'The image that apps are built on is not on this machine. `script/up` builds it.',
  },
});
