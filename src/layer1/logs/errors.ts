// What can go wrong with logs.

import { defineErrors } from '#core/errors';

export const logsErrors = defineErrors('logs', {
  unauthorized: {
    status: 401,
    retry: false,
    doc: 'Logs are read through the management API; this call lacked the internal key.',
  },
  away: {
    status: 503,
    retry: true,
    doc: 'No machine has logs running right now. `gantry ps -a gantry` says why.',
  },
  notCollecting: {
    status: 503,
    retry: true,
    doc: 'Another process collects the logs of this host, or is about to: ask again.',
  },
});
