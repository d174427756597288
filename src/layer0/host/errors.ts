// What can go wrong on a host, as codes.

import { defineErrors } from '#core/errors';

export const hostErrors = defineErrors('host', {
  removed: {
    status: 403,
    retry: false,
    doc: 'The machine was removed from the cluster, and is no host of it any more. Take Gantry off it with script/down, then let it join anew.',
  },
  jobNotFound: {
    status: 404,
    retry: false,
    doc: 'This host has no such job. `gantry ps` lists those that exist.',
  },
  away: {
    status: 503,
    retry: true,
    doc: 'The job is on a machine that does not answer. `gantry host list` says how it is.',
  },
  notRunning: {
    status: 409,
    retry: true,
    doc: 'The job has no running container right now; its state says why.',
  },
  sealBroken: {
    status: 422,
    retry: false,
    doc: 'A sealed value was changed, moved to another app, or sealed with another key. Set it again with `gantry env set`.',
  },
  refused: {
    status: 403,
    retry: false,
    doc: 'The job asks for what only the system app may have: host paths, the host network, or capabilities.',
  },
  imageMissing: {
    status: 404,
    retry: true,
    doc: "The job's image is not on this machine. Deploy or import it again.",
  },
  noFreePort: {
    status: 503,
    retry: true,
    doc: 'Every port of the range for host-network jobs is taken; widen it with GANTRY_HOST_PORT_MAX.',
  },
  slowReader: {
    status: 429,
    retry: true,
    doc: 'An attached reader fell behind the output limit and was let go, so that the app could go on.',
  },
  notSettling: {
    status: 500,
    retry: true,
    doc: 'A bug: the steps of a job repeat without an end. The daemon log names them; report it.',
  },
});
