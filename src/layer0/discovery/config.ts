// Settings of discovery.

import { numberSetting, textSetting } from '#core/config';

export const discoverySettings = {
  leaseTtlMs: numberSetting({
    env: 'GANTRY_DISCOVERY_TTL_MS',
    doc: 'How long instances stay in discovery after the process that registered them fell silent.',
    fallback: 10_000,
    min: 1_000,
    max: 600_000,
  }),
  serviceDomain: textSetting({
    env: 'GANTRY_SERVICE_DOMAIN',
    doc: 'Last label of internal names: `web.shop.service.<this>`.',
    fallback: 'gantry',
  }),
};

/** Most milliseconds that an HTTP registration may ask for. */
export const maxTtlMs = 600_000;
/** How many state changes a slow reader of the HTTP stream may fall behind. */
export const streamBacklog = 1024;
