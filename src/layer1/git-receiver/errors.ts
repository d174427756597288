// What the git receiver refuses before git itself runs. git shows the message to the pusher as `remote:`.

import { defineErrors } from '#core/errors';

export const gitErrors = defineErrors('git', {
  unauthorized: {
    status: 401,
    retry: false,
    doc: 'The push has no token or one that is not known. Any user name does; the password is the token. `gantry create` sets both up.',
  },
  badRequest: {
    status: 400,
    retry: false,
    doc: 'What was sent is not what git sends; the message has what git made of it.',
  },
  notFound: {
    status: 404,
    retry: false,
    doc: 'Repositories are at `/<app>.git`, and git speaks its smart protocol only. Use git 1.6.6 or later.',
  },
  tooLarge: {
    status: 413,
    retry: false,
    doc: 'The push has more bytes than the receiver takes. Keep large files out of the repository.',
  },
  busy: {
    status: 503,
    retry: true,
    doc: 'As many git processes as may run are running. Try again shortly.',
  },
  unavailable: {
    status: 503,
    retry: true,
    doc: 'The controller is not running right now, so nothing can be deployed. Try again shortly.',
  },
  failed: {
    status: 500,
    retry: false,
    doc: 'git itself failed on this machine; the message has its last words.',
  },
});
