// What can go wrong in discovery, as codes.

import { defineErrors } from '#core/errors';

export const discoveryErrors = defineErrors('discovery', {
  notRegistered: {
    status: 404,
    retry: false,
    doc: 'There is no instance of that service and id. Register it first.',
  },
  notYours: {
    status: 409,
    retry: false,
    doc: 'The instance was registered by Gantry itself; choose another id for yours.',
  },
  closed: {
    status: 503,
    retry: false,
    doc: 'This process is stopping and registers nothing any more.',
  },
});
