// Who is where, right now.
//   discovery/instances/<service>/<handle>     written by who registered it, under its lease
//   discovery/consumers/<id>                   written by a consumer that wants drains to wait for it, under its lease
//   discovery/router-suffixes                  written by who gives the router its routes: the controller that leads

import { oneOf, type Static, Type } from '#core/schema';

export const discoveryPrefix = 'discovery/';
export const instancePrefix = 'discovery/instances/';
export const consumerPrefix = 'discovery/consumers/';
export const routerSuffixesKey = 'discovery/router-suffixes';
/** During a deploy two jobs have the same id (`1.web.shop`), so the job is what tells instances apart. */
export const handleOf = (instance: { id: string; job?: string }) => instance.job ?? instance.id;
export const instanceKey = (service: string, handle: string) =>
  `${instancePrefix}${service}/${handle}`;
export const consumerKey = (id: string) => `${consumerPrefix}${id}`;

export const instanceSchema = Type.Object({
  id: Type.String({
    description: '`1.web.shop`: index, process type, app; unique per job by `job`.',
  }),
  service: Type.String({ description: '`web.shop`.' }),
  job: Type.Optional(Type.String()),
  address: Type.String(),
  port: Type.Integer({ description: 'The first port; 0 when it has none.' }),
  ports: Type.Record(Type.String(), Type.Integer()),
  state: oneOf('up', 'draining'),
  host: Type.String(),
  createdAt: Type.Integer({
    description: 'The oldest instance of a service is its leader, unless one is set.',
  }),
  metadata: Type.Record(Type.String(), Type.String(), {
    description: 'Anything. `leader=true` makes this instance the leader of its service.',
  }),
  ttlMs: Type.Optional(
    Type.Integer({
      description: 'Registered over HTTP: how long it stays after its last heartbeat.',
    }),
  ),
});
export type Instance = Static<typeof instanceSchema>;

/**
 * How far a consumer (a router) has applied what it saw. An instance that drains may be stopped once every consumer has
 * applied the revision that said so and none lists it as busy.
 */
export const consumerSchema = Type.Object({
  id: Type.String(),
  appliedRevision: Type.Integer(),
  incarnation: Type.String(),
  machine: Type.Optional(
    Type.String({ description: 'Id of the machine that it is on. Of earlier versions: unknown.' }),
  ),
  busy: Type.Array(Type.String(), {
    description: 'Jobs of draining instances that still serve requests.',
  }),
});
export type Consumer = Static<typeof consumerSchema>;

/** Under which domains every name leads to the router, besides the one that this machine was set up with. */
export const routerSuffixesSchema = Type.Object({ suffixes: Type.Array(Type.String()) });
export type RouterSuffixes = Static<typeof routerSuffixesSchema>;

/** The table file that gantry-dns serves: replaced whole, by rename. Names are lower case without a trailing dot. */
export const dnsTableSchema = Type.Object({
  domain: Type.String({ description: 'Of services: `gantry` in `web.shop.service.gantry`.' }),
  listeners: Type.Array(
    Type.Object({
      address: Type.String({ description: "Where to listen: an app network's gateway." }),
      subnet: Type.String({ description: 'CIDR. Who asks from outside of it is not answered.' }),
      app: Type.String({ description: 'The name of the app that asks there.' }),
    }),
  ),
  /** service (`web.shop`) -> its instances that are up. */
  services: Type.Record(
    Type.String(),
    Type.Array(
      Type.Object({
        address: Type.String(),
        port: Type.Integer(),
        id: Type.String(),
        isLeader: Type.Optional(
          Type.Literal(true, { description: 'Answers `leader.web.shop` too.' }),
        ),
      }),
    ),
  ),
  /** Names under these suffixes answer with the gateway address of the asking network: the router is there. */
  routerSuffixes: Type.Array(Type.String()),
  upstreams: Type.Array(Type.String()),
});
export type DnsTable = Static<typeof dnsTableSchema>;
export type DnsListener = DnsTable['listeners'][number];
