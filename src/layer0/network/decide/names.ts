// Names of bridges, networks and chains. They carry the cluster, so that two clusters can share a machine.

import { createHash } from 'node:crypto';

/** Of every bridge of a cluster: firewall rules match `<prefix>+`. Eight characters, which leaves seven for the VNI. */
export function bridgePrefix(cluster: string): string {
  return `gt${clusterTag(cluster)}-`;
}

/** Interface names have at most 15 characters; 2^24 is five in base 36. */
export function bridgeName(cluster: string, vni: number): string {
  return `${bridgePrefix(cluster)}${vni.toString(36)}`;
}

export function networkName(appName: string, app: string): string {
  return `gantry-${appName}-${app.slice(-6)}`;
}

/** The device whose routes lead to containers of every app on other machines. */
export function routesName(cluster: string): string {
  return `gr${clusterTag(cluster)}`;
}

export function clusterTag(cluster: string): string {
  const hash = createHash('sha256').update(cluster).digest();
  return hash.readUInt32BE(0).toString(36).padStart(7, '0').slice(-5);
}
