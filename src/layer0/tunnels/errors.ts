// What can go wrong with a tunnel, as codes.

import { defineErrors } from '#core/errors';

export const tunnelErrors = defineErrors('tunnels', {
  notFound: {
    status: 404,
    retry: true,
    doc: 'No process of this machine listens there on loopback, as far as discovery knows. It may have moved: ask discovery again.',
  },
  refused: {
    status: 502,
    retry: true,
    doc: 'The process at the end of the tunnel took no connection. `gantry ps -a gantry` says how it is.',
  },
  away: {
    status: 503,
    retry: true,
    doc: 'The machine at the other end does not answer. `gantry host list` says how it is.',
  },
  tooMany: {
    status: 429,
    retry: true,
    doc: 'Too many connections go through the tunnels of a machine at once. Something opens them and does not end them.',
  },
});
