// Routes and certificates: written with the claims that keep a domain and path, or a port, from being given twice.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { newId } from '#core/ids';
import type { Operation } from '#layer0/store/client';
import {
  type Certificate,
  certificateKey,
  certificatePrefix,
  type Route,
  routeKey,
  routePrefix,
} from '#layer1/router/wire';
import type { CertificateView, ChangeRoute, CreateRoute } from '../api.ts';
import type { Context } from '../context.ts';
import {
  claimOf,
  normalizeDomain,
  normalizePath,
  refusePort,
  refuseReserved,
} from '../decide/route.ts';
import { controllerErrors } from '../errors.ts';
import { eventOperation } from '../events.ts';
import { change, readApp, readLivingApp } from '../records.ts';
import type { App } from '../wire.ts';

/** Most routes of one app. */
const maxRoutes = 200;

export async function readRoutes({ store }: Context, appId: string): Promise<Route[]> {
  const { entries } = await store.list<Route>(routePrefix);
  return entries.map(({ value }) => value).filter(({ app }) => app === appId);
}

export async function listRoutes(context: Context, name: string): Promise<Route[]> {
  return await readRoutes(context, (await readApp(context.store, name)).value.id);
}

export async function createRoute(
  context: Context,
  name: string,
  wanted: CreateRoute,
): Promise<Route> {
  const { store } = context;
  const { value: first } = await readLivingApp(store, name);
  const route = routeFrom(context, first, wanted);
  const claim = claimOf(route);
  const { result } = await change(store, `add a route to ${name}`, async () => {
    const entry = await readLivingApp(store, name);
    const existing = await readRoutes(context, entry.value.id);
    const same = existing.find((other) => isSame(other, route));
    if (same) return { result: same, compare: [], operations: [] };
    await refuseTaken(context, route, claim);
    if (existing.length >= maxRoutes)
      throw controllerErrors.invalidRoute(
        `app ${name} has ${maxRoutes} routes, which is the limit`,
      );
    return {
      result: route,
      compare: [
        { key: entry.key, modRevision: entry.modRevision },
        { key: claim, is: 'absent' as const },
      ],
      operations: [
        { put: routeKey(route.id), value: route },
        { put: claim, value: { route: route.id } },
        told(context, 'route.added', route),
      ],
    };
  });
  return result;
}

function routeFrom({ settings, clock }: Context, app: App, wanted: CreateRoute): Route {
  const { type = 'http', processType = 'web' } = wanted;
  const base = {
    id: newId('rte'),
    app: app.id,
    appName: app.name,
    service: `${processType}.${app.name}`,
    sendsProxyProtocol: wanted.sendsProxyProtocol ?? false,
    redirectsToHttps: wanted.redirectsToHttps ?? false,
    isSystem: false,
    createdAt: clock.now(),
  };
  if (type === 'tcp') {
    if (wanted.port === undefined || wanted.domain !== undefined || wanted.path !== undefined)
      throw controllerErrors.invalidRoute('a TCP route has a port, and no domain or path');
    const { tcpPortMin: min, tcpPortMax: max, httpPort, httpsPort } = settings;
    refusePort(wanted.port, { min, max, taken: [httpPort, httpsPort] });
    return { ...base, type, port: wanted.port };
  }
  if (wanted.domain === undefined || wanted.port !== undefined || base.sendsProxyProtocol)
    throw controllerErrors.invalidRoute(
      'an HTTP route has a domain, and no port and no PROXY protocol; say type tcp for those',
    );
  const domain = normalizeDomain(wanted.domain);
  refuseReserved(domain, settings.domain);
  const path = normalizePath(wanted.path);
  return { ...base, type, domain, ...(path === undefined ? {} : { path }) };
}

function isSame(a: Route, b: Route): boolean {
  return (
    claimOf(a) === claimOf(b) &&
    a.service === b.service &&
    a.sendsProxyProtocol === b.sendsProxyProtocol &&
    a.redirectsToHttps === b.redirectsToHttps
  );
}

async function refuseTaken({ store }: Context, route: Route, claim: string): Promise<void> {
  const holder = await store.get<{ route: string }>(claim);
  if (!holder) return;
  const other = (await store.get<Route>(routeKey(holder.value.route)))?.value;
  throw controllerErrors.routeTaken(
    `${describe(route)} is a route of app ${other?.appName ?? 'that is being deleted'}; remove that one first`,
  );
}

function describe({ type, domain, path, port }: Route): string {
  return type === 'tcp' ? `TCP port ${port}` : `${domain}${path ?? ''}`;
}

function told(context: Context, type: string, route: Route): Operation {
  const { app, appName, id: object } = route;
  const message = `${appName}: ${describe(route)}`;
  return eventOperation({ app, type, object, message }, context);
}

async function readRoute(context: Context, name: string, id: string) {
  const { value: app } = await readLivingApp(context.store, name);
  const entry = /^rte-[a-z0-9-]+$/.test(id)
    ? await context.store.get<Route>(routeKey(id))
    : undefined;
  if (!entry || entry.value.app !== app.id)
    throw controllerErrors.routeNotFound(
      `app ${name} has no route ${id.slice(0, 80)}; \`gantry route -a ${name}\` lists them`,
    );
  if (entry.value.isSystem)
    throw controllerErrors.systemApp(`route ${id} is Gantry's own and stays as it is`);
  return entry;
}

export async function removeRoute(context: Context, name: string, id: string): Promise<Route> {
  const { result } = await change(context.store, `remove route ${id}`, async () => {
    const { value, key, modRevision } = await readRoute(context, name, id);
    return {
      result: value,
      compare: [{ key, modRevision }],
      operations: [
        { delete: key },
        { delete: claimOf(value) },
        told(context, 'route.removed', value),
      ],
    };
  });
  return result;
}

export async function changeRoute(
  context: Context,
  { app, id }: { app: string; id: string },
  wanted: ChangeRoute,
): Promise<Route> {
  const { result } = await change(context.store, `change route ${id}`, async () => {
    const { value, key, modRevision } = await readRoute(context, app, id);
    if (wanted.sendsProxyProtocol && value.type !== 'tcp')
      throw controllerErrors.invalidRoute('only a TCP route can send the PROXY protocol');
    const route = { ...value, ...wanted };
    return {
      result: route,
      compare: [{ key, modRevision }],
      operations: [{ put: key, value: route }],
    };
  });
  return result;
}

export interface Pems {
  certificatePem: string;
  keyPem: string;
}

export async function putCertificate(
  context: Context,
  domainText: string,
  pems: Pems,
): Promise<CertificateView> {
  const domain = normalizeDomain(domainText);
  const expiresAt = checkCertificate(domain, pems, context.clock.now());
  const sealedKeyPem = await context.host.seal(`certificate/${domain}`, pems.keyPem);
  const { certificatePem } = pems;
  const value: Certificate = { domain, certificatePem, sealedKeyPem, expiresAt };
  await context.store.txn({ compare: [], operations: [{ put: certificateKey(domain), value }] });
  return { domain, expiresAt };
}

/** When it expires. Messages never quote the key. */
function checkCertificate(domain: string, { certificatePem, keyPem }: Pems, now: number): number {
  let certificate: X509Certificate;
  let isPair: boolean;
  try {
    certificate = new X509Certificate(certificatePem);
    isPair = certificate.checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    throw controllerErrors.invalidRoute(
      `the certificate for ${domain} or its key is not readable PEM; send the chain and an unencrypted key`,
    );
  }
  if (!isPair)
    throw controllerErrors.invalidRoute(`the key is not the one of the certificate for ${domain}`);
  const probe = domain.replace(/^\*/, 'any');
  if (certificate.checkHost(probe) === undefined)
    throw controllerErrors.invalidRoute(
      `the certificate is for ${certificate.subjectAltName ?? certificate.subject}, not for ${domain}`,
    );
  const expiresAt = Date.parse(certificate.validTo);
  if (expiresAt <= now)
    throw controllerErrors.invalidRoute(
      `the certificate for ${domain} ended ${certificate.validTo}`,
    );
  return expiresAt;
}

export async function listCertificates({ store }: Context): Promise<CertificateView[]> {
  const { entries } = await store.list<Certificate>(certificatePrefix);
  return entries.map(({ value: { domain, expiresAt } }) => ({ domain, expiresAt }));
}

export async function removeCertificate({ store }: Context, domain: string): Promise<void> {
  const key = certificateKey(normalizeDomain(domain));
  if (!(await store.get(key)))
    throw controllerErrors.routeNotFound(`there is no certificate for ${domain}`);
  await store.txn({ compare: [], operations: [{ delete: key }] });
}
