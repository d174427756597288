// Routes of the network under /network: what `gantry doctor` and an operator look at, and the end of connections that nobody answers.

import type { HttpServer } from '#core/http-server';
import { Type } from '#core/schema';
import type { Network } from './client.ts';
import { gatewayOf } from './decide/cidr.ts';
import { networkErrors } from './errors.ts';
import { addressSchema, appNetworkSchema } from './wire.ts';

const listedNetworkSchema = Type.Object({
  ...appNetworkSchema.properties,
  gateway: Type.String(),
  held: Type.Integer({ description: 'Addresses that jobs hold.' }),
});

export function registerNetworkRoutes(server: HttpServer, { network }: { network: Network }): void {
  server.get(
    '/network/apps',
    {
      schema: {
        summary: 'Every app network: subnet, gateway, bridge and how many addresses are held.',
        tags: ['network'],
        response: { 200: Type.Array(listedNetworkSchema) },
      },
    },
    async () => {
      const networks = await network.list();
      return Promise.all(
        networks.map(async (entry) => {
          const addresses = await network.addresses(entry.app);
          const held = addresses.filter(({ freedAt }) => freedAt === undefined).length;
          return { ...entry, gateway: gatewayOf(entry.subnet), held };
        }),
      );
    },
  );
  server.get<{ Params: { app: string } }>(
    '/network/apps/:app/addresses',
    {
      schema: {
        summary: "Addresses of one app's network: who holds each, or since when it is free.",
        tags: ['network'],
        params: Type.Object({ app: Type.String() }),
        response: { 200: Type.Array(addressSchema) },
      },
    },
    async ({ params }) => {
      const networks = await network.list();
      if (!networks.some((entry) => entry.app === params.app))
        throw networkErrors.notFound(`there is no network of app ${params.app}`);
      return network.addresses(params.app);
    },
  );
  server.delete<{ Params: { ip: string } }>(
    '/network/connections/:ip',
    {
      schema: {
        summary:
          "Ends this machine's own TCP connections to the address of a job on another machine: it is gone, and says nothing.",
        tags: ['network'],
        params: Type.Object({ ip: Type.String() }),
        response: { 200: Type.Object({ ended: Type.Integer() }) },
      },
    },
    async ({ params }) => ({ ended: await network.endConnections(params.ip) }),
  );
  server.get(
    '/network/status',
    {
      schema: {
        summary: 'The network component: firewall, loop, networks on this machine.',
        tags: ['network'],
        response: { 200: Type.Record(Type.String(), Type.Unknown()) },
      },
    },
    async () => network.status(),
  );
}
