// All that this machine's tunnels and routes need as commands: from what the kernel shows, or from what was put in place last.

import { isDeepStrictEqual } from 'node:util';
import { macOf } from './cidr.ts';
import {
  entriesOf,
  type OverlayCommands,
  type OverlaySeen,
  type OverlayWanted,
  planOverlay,
  tunnelName,
  vxlanDevice,
} from './overlay.ts';
import { planRoutes, routesInPlace } from './routes.ts';

export function planAll(wanted: OverlayWanted, seen: OverlaySeen): OverlayCommands {
  const tunnels = planOverlay(wanted, seen);
  const routes = planRoutes(wanted.routes, seen.routes, wanted);
  return {
    ip: [...tunnels.ip, ...routes.ip],
    bridge: [...tunnels.bridge, ...routes.bridge],
  };
}

/**
 * What changes where all of `inPlace` is in place, and only entries differ from it. Undefined where more does: a network came
 * or went, or this machine is another one, so that the kernel has to be looked at.
 */
export function planEntries(
  wanted: OverlayWanted,
  inPlace: OverlayWanted,
): OverlayCommands | undefined {
  if (!isDeepStrictEqual(withoutEntries(wanted), withoutEntries(inPlace))) return undefined;
  return planAll(wanted, seenOf(inPlace));
}

function withoutEntries({ networks, routes, ...machine }: OverlayWanted): unknown {
  return {
    ...machine,
    networks: networks.map(({ endpoints: _, ...network }) => network),
    routes: routes && { vni: routes.vni, address: routes.address },
  };
}

/** As the kernel shows it once all of that is in place. */
function seenOf(inPlace: OverlayWanted): OverlaySeen {
  const { cluster, networks, routes } = inPlace;
  const seen = {
    devices: new Map(),
    bridges: new Map(),
    tunnels: new Map(),
    ports: new Map(),
    neighbours: new Map(),
  };
  for (const { vni, bridge, gateway, endpoints } of networks) {
    const name = tunnelName(cluster, vni);
    const entries = entriesOf(endpoints);
    seen.bridges.set(bridge, macOf(gateway));
    seen.devices.set(name, vxlanDevice(inPlace, { vni, bridge }));
    for (const kind of ['tunnels', 'ports', 'neighbours'] as const)
      seen[kind].set(name, entries[kind]);
  }
  return { ...seen, routes: routesInPlace(routes, inPlace) };
}
