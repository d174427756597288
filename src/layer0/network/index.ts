// The door for the daemon that runs the network and for who takes it off a machine.

export {
  createNetwork,
  dnsListeners,
  type Network,
  type NetworkConfig,
  type NetworkDeps,
} from './client.ts';
export { networkSettings, readList, readPorts } from './config.ts';
export {
  createFirewall,
  type Firewall,
  type FirewallConfig,
  type FirewallMachine,
  removeFirewall,
} from './firewall.ts';
export { registerNetworkRoutes } from './http.ts';
export { createOverlay, type Overlay, removeOverlay } from './overlay.ts';
