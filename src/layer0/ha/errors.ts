// What can go wrong on the way to three machines, as codes.

import { defineErrors } from '#core/errors';

export const haErrors = defineErrors('ha', {
  tooFew: {
    status: 409,
    retry: false,
    doc: 'The store on etcd needs three machines that are up. Add machines with gantry host join-token, or start those that are off.',
  },
  unfit: {
    status: 409,
    retry: false,
    doc: 'A machine cannot have a copy of the store; the message says why. Name others with --hosts, or mend it.',
  },
  inCharge: {
    status: 409,
    retry: false,
    doc: 'The store is on etcd already; there is nothing to move.',
  },
  busy: {
    status: 409,
    retry: true,
    doc: 'The store is being moved already. gantry cluster ha shows how far it is.',
  },
  notRenewed: {
    status: 503,
    retry: true,
    doc: 'The etcd of a new version did not serve on this machine, and the one before it runs again. See docker logs gantry-etcd there; script/up tries again.',
  },
  failed: {
    status: 503,
    retry: true,
    doc: 'The move to etcd did not get to its end. The embedded store stays in charge and goes on; do it again.',
  },
});
