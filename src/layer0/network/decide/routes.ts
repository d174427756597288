// The routes to containers on other members: one device joins all machines, each has an address on it, and each address of a
// container on another machine is a route to that machine. Only this machine's own processes use them; the firewall says so.

import { type Address, gatewayHolderPrefix, routesApp } from '../wire.ts';
import { macOf } from './cidr.ts';
import type { Neighbourhood } from './endpoints.ts';
import { routesName } from './names.ts';
import { type Device, difference, type OverlayCommands, vxlanPort } from './overlay.ts';

export interface RoutesWanted {
  vni: number;
  /** This machine's own address among the machines, with the length of their subnet: `10.64.0.2/20`. */
  address: string;
  /** The other machines: address there, and address on the network between members. */
  peers: readonly { ip: string; member: string }[];
  /** Containers: address, and the machine's address among the machines. */
  places: readonly { ip: string; via: string }[];
}

/** What the kernel has of them. Entries are texts `<mac> <member>`, `<ip> <mac>`, `<ip>/<length>` and `<ip> <via>`. */
export interface RoutesSeen {
  device: (Device & { mac: string }) | undefined;
  addresses: ReadonlySet<string>;
  tunnels: ReadonlySet<string>;
  neighbours: ReadonlySet<string>;
  routes: ReadonlySet<string>;
}

/** Marks our routes for the kernel and for people: `ip route show proto 71`. */
export const routeProtocol = 71;

/** A machine that has no address among the machines yet is reached as one of an older version: through its networks only. */
export function routesOf(
  { vni, subnet }: { vni: number; subnet: string },
  addresses: readonly Address[],
  { host, members }: Neighbourhood,
): RoutesWanted | undefined {
  const held = addresses.filter(({ freedAt }) => freedAt === undefined);
  const ofMachines = new Map(
    held.flatMap(({ app, host: place, ip }) => (app === routesApp ? [[place, ip] as const] : [])),
  );
  const own = ofMachines.get(host);
  if (own === undefined) return undefined;
  const peers = [...members].flatMap(([place, member]) => {
    const ip = ofMachines.get(place);
    return ip === undefined || place === host ? [] : [{ ip, member }];
  });
  const places = held.flatMap(({ ip, job, host: place }) => {
    const via = members.has(place) && place !== host ? ofMachines.get(place) : undefined;
    return via === undefined || job.startsWith(gatewayHolderPrefix) ? [] : [{ ip, via }];
  });
  return { vni, address: `${own}/${subnet.split('/')[1]}`, peers, places };
}

export interface RoutesContext {
  cluster: string;
  local: string;
  mtu: number;
}

export function planRoutes(
  wanted: RoutesWanted | undefined,
  seen: RoutesSeen,
  { cluster, local, mtu }: RoutesContext,
): OverlayCommands {
  const name = routesName(cluster);
  const commands: OverlayCommands = { ip: [], bridge: [] };
  const { ip, bridge } = commands;
  if (!wanted) {
    if (seen.device) ip.push(`link del ${name}`);
    return commands;
  }
  const { vni, places } = wanted;
  const device = deviceOf(wanted, { local, mtu });
  const { mac } = device;
  const isRight = seen.device !== undefined && isSame(seen.device, device);
  if (seen.device && !isRight) ip.push(`link del ${name}`);
  if (!isRight) {
    const kind = `type vxlan id ${vni} dstport ${vxlanPort} local ${local} nolearning`;
    ip.push(`link add ${name} address ${mac} mtu ${mtu} ${kind}`, `link set ${name} up`);
  }
  const now = (kind: 'addresses' | 'tunnels' | 'neighbours' | 'routes') =>
    isRight ? seen[kind] : new Set<string>();
  const entries = entriesOf(wanted);
  const addresses = difference(entries.addresses, now('addresses'));
  for (const entry of addresses.missing) ip.push(`addr replace ${entry} dev ${name}`);
  for (const entry of addresses.gone) ip.push(`addr del ${entry} dev ${name}`);
  const tunnels = difference(entries.tunnels, now('tunnels'));
  for (const [gone, member] of pairs(tunnels.gone))
    bridge.push(`fdb del ${gone} dev ${name} dst ${member} self`);
  for (const [lladdr, member] of pairs(tunnels.missing))
    bridge.push(`fdb replace ${lladdr} dev ${name} dst ${member} self permanent`);
  const neighbours = difference(entries.neighbours, now('neighbours'));
  for (const [gone] of pairs(neighbours.gone)) ip.push(`neigh del ${gone} dev ${name}`);
  for (const [peer, lladdr] of pairs(neighbours.missing))
    ip.push(`neigh replace ${peer} lladdr ${lladdr} dev ${name} nud permanent`);
  // An address that moved is replaced where it is: there is no moment in which it leads nowhere.
  const routes = difference(entries.routes, now('routes'));
  const replaced = new Set(places.map((place) => place.ip));
  for (const [gone] of pairs(routes.gone))
    if (!replaced.has(gone)) ip.push(`route del ${gone}/32 dev ${name}`);
  for (const [place, via] of pairs(routes.missing))
    ip.push(`route replace ${place}/32 via ${via} dev ${name} proto ${routeProtocol}`);
  return commands;
}

/** As the kernel shows them once all of that is in place. */
export function routesInPlace(
  wanted: RoutesWanted | undefined,
  context: Pick<RoutesContext, 'local' | 'mtu'>,
): RoutesSeen {
  if (wanted) return { device: deviceOf(wanted, context), ...entriesOf(wanted) };
  const none: ReadonlySet<string> = new Set();
  return { device: undefined, addresses: none, tunnels: none, neighbours: none, routes: none };
}

function deviceOf(
  { vni, address }: RoutesWanted,
  { local, mtu }: Pick<RoutesContext, 'local' | 'mtu'>,
): Device & { mac: string } {
  const mac = macOf(address.split('/')[0] ?? '');
  return { vni, local, mtu, bridge: undefined, isUp: true, mac };
}

function entriesOf({ address, peers, places }: RoutesWanted) {
  return {
    addresses: new Set([address]),
    tunnels: new Set(peers.map((peer) => `${macOf(peer.ip)} ${peer.member}`)),
    neighbours: new Set(peers.map((peer) => `${peer.ip} ${macOf(peer.ip)}`)),
    routes: new Set(places.map((place) => `${place.ip} ${place.via}`)),
  };
}

function isSame(seen: Device & { mac: string }, wanted: Device & { mac: string }): boolean {
  return (
    seen.vni === wanted.vni &&
    seen.local === wanted.local &&
    seen.mtu === wanted.mtu &&
    seen.mac === wanted.mac &&
    seen.isUp
  );
}

const pairs = (entries: readonly string[]) =>
  entries.map((entry) => entry.split(' ') as [string, string]);
