// Routes: which requests go to which service.
//   router/routes/<id>             written by the controller (and bootstrap for the system's own)
//   router/route-claims/<claim>    one per (domain, path) or TCP port, so that none is given twice; same writer
//   router/certificates/<domain>   certificate and sealed key; same writer

import { oneOf, type Static, Type } from '#core/schema';

/** Ports a TCP route may listen on; the firewall lets apps reach these, too (GANTRY_ROUTER_PORTS). */
export const tcpPorts = { min: 3000, max: 3500 };

export const routePrefix = 'router/routes/';
export const certificatePrefix = 'router/certificates/';
export const routeKey = (id: string) => `${routePrefix}${id}`;
export const certificateKey = (domain: string) => `${certificatePrefix}${domain}`;
/** `http/<domain><path>` or `tcp/<port>`, with slashes of the path escaped. */
export const routeClaimKey = (claim: string) => `router/route-claims/${claim}`;

export const routeSchema = Type.Object({
  id: Type.String(),
  app: Type.String({ description: 'App id.' }),
  appName: Type.String(),
  service: Type.String({ description: 'In discovery: `web.shop`.' }),
  type: oneOf('http', 'tcp'),
  domain: Type.Optional(
    Type.String({ description: 'For http: `shop.example.com` or `*.example.com`, lower case.' }),
  ),
  path: Type.Optional(
    Type.String({ description: 'For http: a prefix like `/api`; `/` when absent.' }),
  ),
  port: Type.Optional(Type.Integer({ description: 'For tcp: the port every host listens on.' })),
  sendsProxyProtocol: Type.Boolean({ description: 'TCP: the app gets a PROXY v2 header.' }),
  redirectsToHttps: Type.Boolean(),
  isSystem: Type.Boolean(),
  createdAt: Type.Integer(),
});
export type Route = Static<typeof routeSchema>;

export const certificateSchema = Type.Object({
  domain: Type.String(),
  certificatePem: Type.String({ description: 'The chain.' }),
  sealedKeyPem: Type.String({ description: 'Sealed with the context `certificate/<domain>`.' }),
  expiresAt: Type.Integer(),
});
export type Certificate = Static<typeof certificateSchema>;
