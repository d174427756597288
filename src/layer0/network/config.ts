// Settings of the network.

import { numberSetting, textSetting } from '#core/config';
import { networkErrors } from './errors.ts';

export const networkSettings = {
  pool: textSetting({
    env: 'GANTRY_NETWORK_POOL',
    doc: 'IPv4 range that app networks are cut from; nothing else may use it.',
    fallback: '10.64.0.0/12',
  }),
  prefixLength: numberSetting({
    env: 'GANTRY_NETWORK_PREFIX',
    doc: 'Size of the subnet of each app as a prefix length: 24 is 253 addresses.',
    fallback: 24,
    min: 16,
    max: 28,
  }),
  routerPorts: textSetting({
    env: 'GANTRY_ROUTER_PORTS',
    doc: 'TCP ports and ranges where apps may reach the router on this machine, like `80,443,3000:3500`.',
    fallback: '80,443,3000:3500',
  }),
  untrustedBridges: textSetting({
    env: 'GANTRY_UNTRUSTED_BRIDGES',
    doc: 'Other bridges to put behind the same firewall, by interface name with commas: `docker0` guards builds too, and whatever else is on it.',
    fallback: '',
  }),
  mtu: numberSetting({
    env: 'GANTRY_NETWORK_MTU',
    doc: 'MTU of app networks. 1450 leaves room for a tunnel between hosts, so that growing changes no container.',
    fallback: 1450,
    min: 1280,
    max: 9000,
  }),
};

export interface NetworkConfig {
  /** The cluster's id: names bridges and labels networks. */
  cluster: string;
  /** Host id of this machine, and its address on the network between machines. */
  host: string;
  address: string;
  /** CIDR. */
  pool: string;
  prefixLength: number;
  mtu: number;
  /** Of services: `gantry` in `web.shop.service.gantry`. */
  domain: string;
}

/** `80,443,3000:3500` as a list; network.badPorts for anything that is no port or range. */
export function readPorts(text: string): string[] {
  const ports = readList(text);
  const isPort = (port: string) =>
    /^\d{1,5}$/.test(port) && Number(port) > 0 && Number(port) < 65_536;
  for (const entry of ports) {
    const ends = entry.split(':');
    if (ends.length > 2 || !ends.every(isPort) || Number(ends[0]) > Number(ends.at(-1)))
      throw networkErrors.badPorts(`${entry} is neither a TCP port nor a range like 10000:10999`);
  }
  return ports;
}

export function readList(text: string): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean);
}

/** How often a writer tries again when another one was faster. */
export const maxConflicts = 50;
