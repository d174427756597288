// The door for the daemon that runs discovery on a machine.

export { createDiscovery, type DiscoveryClient, type DiscoveryDeps } from './client.ts';
export { discoverySettings } from './config.ts';
export { createDnsTable, type DnsTableConfig, type DnsTableDeps } from './dns-table.ts';
export { registerDiscoveryRoutes } from './http.ts';
