// What can go wrong in the DNS process, as codes.

import { defineErrors } from '#core/errors';

export const dnsErrors = defineErrors('dns', {
  badTable: {
    status: 500,
    retry: true,
    doc: 'The table file is not what the host daemon writes; the last good one is served. Restart the host daemon.',
  },
});
