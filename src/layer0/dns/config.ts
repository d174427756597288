// Settings of the DNS process.

import { numberSetting, textSetting } from '#core/config';

export const dnsSettings = {
  home: textSetting({
    env: 'GANTRY_HOME',
    doc: 'The folder of everything Gantry keeps on the machine.',
    fallback: '/var/lib/gantry',
  }),
  port: numberSetting({
    env: 'GANTRY_DNS_PORT',
    doc: 'Port that containers ask on the gateway of their network; they always ask 53.',
    fallback: 53,
    min: 0,
    max: 65_535,
  }),
};

export interface DnsConfig {
  tablePath: string;
  port: number;
  /** Where upstreams listen: 53 but in tests. */
  upstreamPort?: number;
}
