// What can go wrong when a host is brought to another version.

import { defineErrors } from '#core/errors';

export const upgradeErrors = defineErrors('upgrade', {
  noImage: {
    status: 503,
    retry: true,
    doc: 'No machine that answers has the system image of the wanted version. Run script/up again on the machine that has the checkout.',
  },
});
