// `gantry route`, `route add`, `route remove`

import { readFile } from 'node:fs/promises';
import type { CreateRoute } from '#layer1/controller/client';
import type { Route } from '#layer1/router/wire';
import type { Call, Connection } from '../command.ts';
import { cliErrors } from '../errors.ts';

export async function listRoutes(call: Call): Promise<undefined> {
  const { out, args } = call;
  const { api, app } = await call.target();
  const routes = await api.listRoutes(app);
  if (args.has('json')) return out.json(routes);
  if (routes.length === 0)
    return out.note(`${app} answers nowhere; gantry route add http DOMAIN adds a route.`);
  out.table(
    ['ID', 'TYPE', 'FROM', 'TO', 'NOTES'],
    routes.map((route) => [
      route.id,
      route.type,
      placeOf(route),
      route.service.split('.')[0] ?? '',
      notesOf(route).join(', '),
    ]),
  );
}

/** `shop.example.com/api`, `port 5432`. */
function placeOf({ type, domain, path, port }: Route): string {
  return type === 'tcp' ? `port ${port}` : `${domain}${path === '/' ? '' : (path ?? '')}`;
}

function notesOf({ redirectsToHttps, sendsProxyProtocol, isSystem }: Route): string[] {
  return [
    ...(redirectsToHttps ? ['redirects to HTTPS'] : []),
    ...(sendsProxyProtocol ? ['sends the PROXY protocol'] : []),
    ...(isSystem ? ["Gantry's own"] : []),
  ];
}

export async function addRoute(call: Call): Promise<undefined> {
  const { out } = call;
  const wanted = routeFrom(call);
  const pems = await readPems(call, wanted);
  const { api, app } = await call.target();
  await api.readApp(app);
  // The certificate first: a route that redirects to a domain without one would be an outage.
  if (pems && wanted.domain !== undefined) await api.putCertificate(wanted.domain, pems);
  const route = await api.createRoute(app, wanted);
  const to = `${route.service.split('.')[0]} of ${app}`;
  const notes = [...(pems ? ['with a certificate'] : []), ...notesOf(route)];
  const tail = notes.length === 0 ? '' : ` (${notes.join(', ')})`;
  out.line(`${placeOf(route)} goes to ${to}${tail}; it is ${route.id}`);
}

const httpOnly = ['path', 'tls-cert', 'tls-key', 'redirect'];

/** `http DOMAIN`, `tcp PORT`, or a domain alone. */
function routeFrom({ args }: Call): CreateRoute {
  const [kind = '', place] = args.words;
  const processType = args.text('process');
  const base = processType === undefined ? {} : { processType };
  if (kind === 'tcp') {
    const wrong = httpOnly.find((option) => args.has(option));
    if (wrong !== undefined) throw cliErrors.usage(`--${wrong} is for http routes`);
    if (place === undefined || !/^\d{1,5}$/.test(place))
      throw cliErrors.usage(`say the port: gantry route add tcp 3432 --process db`);
    const port = Number(place);
    return { ...base, type: 'tcp', port, sendsProxyProtocol: args.has('proxy-protocol') };
  }
  if (args.has('proxy-protocol')) throw cliErrors.usage('--proxy-protocol is for tcp routes');
  const domain = kind === 'http' ? place : kind;
  if (domain === undefined || (kind !== 'http' && place !== undefined))
    throw cliErrors.usage('say a domain: gantry route add http shop.example.com');
  const path = args.text('path');
  return {
    ...base,
    type: 'http',
    domain,
    ...(path === undefined ? {} : { path }),
    redirectsToHttps: args.has('redirect'),
  };
}

async function readPems({ args }: Call, { domain }: CreateRoute) {
  const [certificate, key] = [args.text('tls-cert'), args.text('tls-key')];
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate === undefined || key === undefined)
    throw cliErrors.usage(`--tls-cert and --tls-key go together, for ${domain}`);
  return { certificatePem: await readPem(certificate), keyPem: await readPem(key) };
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw cliErrors.usage(`cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
}

export async function removeRoute(call: Call): Promise<undefined> {
  const { args, out } = call;
  const target = await call.target();
  const route = await findRoute(target, args.words[0] ?? '');
  await target.api.removeRoute(target.app, route.id);
  out.line(`${placeOf(route)} no longer goes to ${target.app}`);
}

async function findRoute({ api, app }: Connection & { app: string }, text: string): Promise<Route> {
  const routes = await api.listRoutes(app);
  const place = text
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .replace(/\/$/, '');
  const found = routes.find(
    (route) => route.id === text || placeOf(route) === place || String(route.port) === place,
  );
  if (found) return found;
  const known = routes.map(placeOf).join(', ') || 'none';
  throw cliErrors.notFound(`${app} has no route ${text}; it has ${known}`);
}
