// Where the containers of the networks carried here are on other machines.

import type { Address, CarriedNetwork } from '../wire.ts';
import { gatewayOf } from './cidr.ts';
import type { TunnelledNetwork } from './overlay.ts';

export interface Neighbourhood {
  /** This machine. */
  host: string;
  /** Addresses of the others, by host id: what is on a machine that is no member is nowhere. */
  members: ReadonlyMap<string, string>;
}

export function endpointsOf(
  networks: readonly CarriedNetwork[],
  addresses: readonly Address[],
  { host, members }: Neighbourhood,
): TunnelledNetwork[] {
  const byApp = Map.groupBy(addresses, ({ app }) => app);
  return networks.map(({ app, vni, bridge, gateway, subnet, gatewayHost }) => {
    const places = (byApp.get(app) ?? []).flatMap(({ ip, host: place, freedAt }) =>
      freedAt === undefined ? [{ ip, place }] : [],
    );
    if (gatewayHost !== undefined) places.push({ ip: gatewayOf(subnet), place: gatewayHost });
    const endpoints = places.flatMap(({ ip, place }) => {
      const member = members.get(place);
      return place === host || member === undefined ? [] : [{ ip, member }];
    });
    return { vni, bridge, gateway, endpoints };
  });
}
