// What can go wrong in membership, as codes.

import { defineErrors } from '#core/errors';

export const membershipErrors = defineErrors('membership', {
  badToken: {
    status: 400,
    retry: false,
    doc: 'The join token is not whole. Copy all of it, or make another one with gantry host join-token.',
  },
  tokenRefused: {
    status: 403,
    retry: false,
    doc: 'The join token is unknown, was used, or has ended. Make another one with gantry host join-token.',
  },
  tooManyTokens: {
    status: 429,
    retry: true,
    doc: 'Too many join tokens are open. Use them, or wait until they end after an hour.',
  },
  wrongAuthority: {
    status: 502,
    retry: false,
    doc: 'Who answered at the address of the join token is not of that cluster. Check the address, and whether somebody is in between.',
  },
  removed: {
    status: 403,
    retry: false,
    doc: 'The machine was taken out of the cluster, and nobody there speaks with it. Take Gantry off it with script/down, then let it join anew with a join token.',
  },
  notMember: {
    status: 404,
    retry: false,
    doc: 'No member has that id or name; gantry host list shows them.',
  },
  doorVersion: {
    status: 409,
    retry: true,
    doc: 'Two machines whose daemons are more than one version apart do not talk. Run script/up of the newer version on a machine that still talks to the older one, or on the older one itself.',
  },
  authority: {
    status: 500,
    retry: true,
    doc: 'openssl is missing or refused to make a certificate. The message has its words.',
  },
});
