// What can go wrong between Gantry and the container engine. The message says what was attempted and what the engine said.

import { defineErrors } from '#core/errors';

export const engineErrors = defineErrors('engine', {
  unavailable: {
    status: 503,
    retry: true,
    doc: 'The container engine does not answer on its socket. Start it; Gantry goes on by itself.',
  },
  timeout: {
    status: 504,
    retry: true,
    doc: 'The container engine took the call and did not finish it in time.',
  },
  unsupported: {
    status: 501,
    retry: false,
    doc: 'The container engine is too old or too new for this release of Gantry.',
  },
  notFound: {
    status: 404,
    retry: false,
    doc: 'The engine has no container, network or exec of that name.',
  },
  imageMissing: {
    status: 404,
    retry: false,
    doc: 'The image of a container is not on this machine. Import or build it, then try again.',
  },
  conflict: {
    status: 409,
    retry: false,
    doc: 'Something else holds that name, address or state in the engine.',
  },
  refused: {
    status: 400,
    retry: false,
    doc: 'The engine rejected the request; its message says why.',
  },
  startFailed: {
    status: 422,
    retry: false,
    doc: 'The engine made the container but could not start its process: check command and user.',
  },
  failed: {
    status: 502,
    retry: true,
    doc: 'The engine met an error of its own, such as a full disk; its message says which.',
  },
});
