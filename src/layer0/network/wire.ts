// Networks and addresses. One key, one writer (the network component):
//   network/pool                        serialises the giving of subnets: the last one given
//   network/apps/<app>                  its subnet and bridge
//   network/addresses/<app>/<ip>        who holds an address, or since when nobody does
//   network/jobs/<job>                  which address a job holds

import { type Static, Type } from '#core/schema';

export const appNetworkPrefix = 'network/apps/';
export const addressPrefix = 'network/addresses/';
export const jobAddressPrefix = 'network/jobs/';
export const poolKey = 'network/pool';
export const appNetworkKey = (app: string) => `${appNetworkPrefix}${app}`;
export const addressKey = (app: string, ip: string) => `${addressPrefix}${app}/${ip}`;

/** Holds a machine's gateway address as a job holds its own. */
export const gatewayHolder = (app: string, host: string) => `${gatewayHolderPrefix}${app}/${host}`;
export const gatewayHolderPrefix = 'gateway/';
/** Machines have addresses among themselves as an app's jobs have theirs. No app can have this id. */
export const routesApp = 'routes';
export const jobAddressKey = (job: string) => `${jobAddressPrefix}${job}`;

export const poolSchema = Type.Object({
  lastSubnet: Type.String({ description: 'CIDR given last; the search goes on after it.' }),
  lastVni: Type.Integer(),
});
export type Pool = Static<typeof poolSchema>;

export const appNetworkSchema = Type.Object({
  app: Type.String(),
  appName: Type.String(),
  subnet: Type.String({ description: "CIDR out of the operator's pool." }),
  vni: Type.Integer({
    minimum: 1,
    description: 'Unique per cluster: names the bridge, and is the number of the tunnel.',
  }),
  networkName: Type.String({
    description: "The engine's name for it; a rename does not change it.",
  }),
  bridge: Type.String({ description: "The bridge's name on every host." }),
  gatewayHost: Type.Optional(
    Type.String({
      description:
        'Whose gateway is the first address: the first machine that carried it. Others take an address of the subnet.',
    }),
  ),
  isRemoving: Type.Optional(
    Type.Literal(true, { description: 'Gives no more addresses: its app is going away.' }),
  ),
});
export type AppNetwork = Static<typeof appNetworkSchema>;

/** One that this machine carries. */
export interface CarriedNetwork extends AppNetwork {
  /** This machine's own address in it: what its containers have as gateway and DNS server. */
  gateway: string;
}

export const addressSchema = Type.Object({
  app: Type.String(),
  ip: Type.String(),
  job: Type.String({ description: 'Who holds it, or held it last.' }),
  host: Type.String(),
  freedAt: Type.Optional(
    Type.Integer({ description: 'Present when nobody holds it: the longest free is given first.' }),
  ),
});
export type Address = Static<typeof addressSchema>;

export const jobAddressSchema = Type.Object({ app: Type.String(), ip: Type.String() });
export type JobAddress = Static<typeof jobAddressSchema>;

/** What a container needs to be on its app's network. */
export interface Attachment {
  networkName: string;
  ip: string;
  mac: string;
  dns: string[];
  dnsSearch: string[];
  dnsOptions: string[];
}
