// What can go wrong between the router and HAProxy.

import { defineErrors } from '#core/errors';

export const routerErrors = defineErrors('router', {
  proxyUnreachable: {
    status: 503,
    retry: true,
    doc: "HAProxy's runtime socket does not answer; traffic goes on by its last table, changes wait.",
  },
  commandFailed: {
    status: 500,
    retry: true,
    doc: 'HAProxy refused a runtime command; the router reads its state again and repairs the difference.',
  },
  reloadFailed: {
    status: 500,
    retry: true,
    doc: "HAProxy did not take a new configuration and goes on with the old one; see the proxy's log.",
  },
  badCertificate: {
    status: 422,
    retry: false,
    doc: 'A certificate or its key cannot be read; the other domains are served as before.',
  },
});
