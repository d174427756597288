// What the tool itself refuses, before or beside the API.

import { defineErrors } from '#core/errors';

export const cliErrors = defineErrors('cli', {
  usage: {
    status: 400,
    retry: false,
    doc: 'The command line is not one that `gantry` understands; the message says which part.',
  },
  noApp: {
    status: 400,
    retry: false,
    doc: 'No app was named and the folder says none. Give `-a APP`, or work in a repository with a `gantry` remote.',
  },
  noCluster: {
    status: 400,
    retry: false,
    doc: 'The tool knows no cluster, or none of that name. `script/up` writes one, `gantry login` adds one.',
  },
  badConfig: {
    status: 400,
    retry: false,
    doc: "The tool's configuration file cannot be read; the message says why.",
  },
  refused: {
    status: 400,
    retry: false,
    doc: 'A destructive command was not confirmed; nothing was changed.',
  },
  failed: {
    status: 422,
    retry: false,
    doc: 'What was asked for was begun and did not come out well; the message says why.',
  },
  git: {
    status: 422,
    retry: false,
    doc: 'A git command failed; the message has its answer.',
  },
  notFound: {
    status: 404,
    retry: false,
    doc: 'There is no such thing in the app; the message says what there is.',
  },
});
