// The tunnels of this machine as commands: what `ip` and `bridge` must be told so that devices and entries are those wanted.
// Only devices with our prefix are ever named.

import { macOf } from './cidr.ts';
import { clusterTag } from './names.ts';
import type { RoutesSeen, RoutesWanted } from './routes.ts';

/** Where containers of one app, or gateways of it, are on other members. */
export interface Endpoint {
  ip: string;
  /** Address of the member it is on. */
  member: string;
}

/** One app network that this machine carries. */
export interface TunnelledNetwork {
  vni: number;
  bridge: string;
  /** This machine's own gateway in it. */
  gateway: string;
  endpoints: readonly Endpoint[];
}

export interface OverlayWanted {
  cluster: string;
  /** Address of this machine on the network between members. */
  local: string;
  mtu: number;
  networks: readonly TunnelledNetwork[];
  /** To containers on other members; absent on a machine that is alone. */
  routes?: RoutesWanted;
}

export interface Device {
  vni: number;
  local: string;
  mtu: number;
  /** The bridge it is plugged into; undefined when it is in none. */
  bridge: string | undefined;
  isUp: boolean;
}

/** What the kernel has, of our devices only. Entries are texts `<mac> <member>`, `<mac>` and `<ip> <mac>`. */
export interface OverlaySeen {
  /** By name. */
  devices: ReadonlyMap<string, Device>;
  /** MAC addresses of bridges that exist, by name. */
  bridges: ReadonlyMap<string, string>;
  /** To which member frames for a MAC go, by device. */
  tunnels: ReadonlyMap<string, ReadonlySet<string>>;
  /** MACs that the bridge finds behind the device, by device. */
  ports: ReadonlyMap<string, ReadonlySet<string>>;
  /** Neighbours that the device answers for, by device. */
  neighbours: ReadonlyMap<string, ReadonlySet<string>>;
  routes: RoutesSeen;
}

/** Lines for `ip -batch` first, then lines for `bridge -batch`. */
export interface OverlayCommands {
  ip: string[];
  bridge: string[];
}

/** Of every tunnel device of a cluster. */
export function tunnelPrefix(cluster: string): string {
  return `gx${clusterTag(cluster)}-`;
}

export function tunnelName(cluster: string, vni: number): string {
  return `${tunnelPrefix(cluster)}${vni.toString(36)}`;
}

export function planOverlay(wanted: OverlayWanted, seen: OverlaySeen): OverlayCommands {
  const commands: OverlayCommands = { ip: [], bridge: [] };
  const kept = new Set<string>();
  for (const network of wanted.networks) {
    const name = tunnelName(wanted.cluster, network.vni);
    // The engine has not made the bridge yet, or not again yet: the next look finds it.
    if (!seen.bridges.has(network.bridge)) continue;
    kept.add(name);
    planDevice(name, network, { wanted, seen }, commands);
  }
  for (const name of seen.devices.keys()) if (!kept.has(name)) commands.ip.push(`link del ${name}`);
  return commands;
}

interface Context {
  wanted: OverlayWanted;
  seen: OverlaySeen;
}

function planDevice(
  name: string,
  network: TunnelledNetwork,
  { wanted, seen }: Context,
  { ip, bridge }: OverlayCommands,
): void {
  const { local, mtu } = wanted;
  // Others answer for this address with this MAC: the bridge must have it.
  const mac = macOf(network.gateway);
  if (seen.bridges.get(network.bridge) !== mac)
    ip.push(`link set ${network.bridge} address ${mac}`);
  const found = seen.devices.get(name);
  const device = vxlanDevice(wanted, network);
  const isRight =
    found?.vni === device.vni &&
    found.local === device.local &&
    found.mtu === device.mtu &&
    found.bridge === device.bridge &&
    found.isUp;
  if (found && !isRight) ip.push(`link del ${name}`);
  if (!isRight) {
    const kind = `type vxlan id ${network.vni} dstport ${vxlanPort} local ${local} nolearning proxy`;
    ip.push(`link add ${name} mtu ${mtu} ${kind}`, `link set ${name} master ${network.bridge} up`);
    // Where a MAC is says the store alone: what a bridge learns outlives a container that moved.
    bridge.push(`link set dev ${name} learning off flood off mcast_flood off`);
  }
  const entries = entriesOf(network.endpoints);
  const now = (kind: 'tunnels' | 'ports' | 'neighbours') =>
    (isRight ? seen[kind].get(name) : undefined) ?? new Set<string>();
  const tunnels = difference(entries.tunnels, now('tunnels'));
  const ports = difference(entries.ports, now('ports'));
  const neighbours = difference(entries.neighbours, now('neighbours'));
  // Away before anew: an address that moved to another member has one entry at each moment.
  for (const entry of neighbours.gone) ip.push(`neigh del ${entry.split(' ')[0]} dev ${name}`);
  for (const entry of neighbours.missing) {
    const [address, lladdr] = entry.split(' ');
    ip.push(`neigh replace ${address} lladdr ${lladdr} dev ${name} nud permanent`);
  }
  for (const entry of ports.gone) bridge.push(`fdb del ${entry} dev ${name} master`);
  for (const entry of tunnels.gone) {
    const [mac, member] = entry.split(' ');
    bridge.push(`fdb del ${mac} dev ${name} dst ${member} self`);
  }
  for (const entry of tunnels.missing) {
    const [mac, member] = entry.split(' ');
    bridge.push(`fdb replace ${mac} dev ${name} dst ${member} self permanent`);
  }
  for (const entry of ports.missing) bridge.push(`fdb replace ${entry} dev ${name} master static`);
}

/** The tunnel's device as it should be. */
export function vxlanDevice(
  { local, mtu }: Pick<OverlayWanted, 'local' | 'mtu'>,
  { vni, bridge }: Pick<TunnelledNetwork, 'vni' | 'bridge'>,
): Device {
  return { vni, local, mtu, bridge, isUp: true };
}

export function entriesOf(endpoints: readonly Endpoint[]) {
  return {
    tunnels: new Set(endpoints.map(({ ip, member }) => `${macOf(ip)} ${member}`)),
    ports: new Set(endpoints.map(({ ip }) => macOf(ip))),
    neighbours: new Set(endpoints.map(({ ip }) => `${ip} ${macOf(ip)}`)),
  };
}

export function difference(wanted: ReadonlySet<string>, seen: ReadonlySet<string>) {
  return {
    missing: [...wanted].filter((entry) => !seen.has(entry)),
    gone: [...seen].filter((entry) => !wanted.has(entry)),
  };
}

/** IANA's port for VXLAN. */
export const vxlanPort = 4789;
