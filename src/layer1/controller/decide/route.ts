// May this route be given, and what does it claim? Domains and paths are compared in one written form.

import { type Route, routeClaimKey } from '#layer1/router/wire';
import { controllerErrors } from '../errors.ts';

/** First labels under the platform's own domain that no app may have. */
export const reservedNames = ['api', 'git', 'gantry', 'dashboard', 'registry', 'www'];

const labelPattern = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;
const pathPattern = /^(\/[A-Za-z0-9._~-]{1,64}){1,16}$/;

/** The key that makes a (domain, path) or a port a thing that is given once. */
export function claimOf(route: Pick<Route, 'type' | 'domain' | 'path' | 'port'>): string {
  if (route.type === 'tcp') return routeClaimKey(`tcp/${route.port}`);
  const path = route.path === undefined || route.path === '/' ? '' : encodeURIComponent(route.path);
  return routeClaimKey(`http/${route.domain}${path}`);
}

/** Lower case, without a trailing dot. Throws controller.invalidRoute. */
export function normalizeDomain(text: string): string {
  const domain = text.toLowerCase().replace(/\.$/, '');
  const labels = domain.split('.');
  const names = labels[0] === '*' ? labels.slice(1) : labels;
  const isName = names.length >= 2 && names.every((label) => labelPattern.test(label));
  if (domain.length > 253 || !isName || /^[0-9.]+$/.test(domain))
    throw controllerErrors.invalidRoute(
      `${JSON.stringify(text.slice(0, 80))} is not a domain: use a name like shop.example.com or *.example.com`,
    );
  return domain;
}

/** Undefined for the whole domain. A prefix ends without a slash. */
export function normalizePath(text: string | undefined): string | undefined {
  const path = text?.replace(/\/+$/, '');
  if (path === undefined || path === '') return undefined;
  if (!pathPattern.test(path) || path.split('/').some((part) => part === '.' || part === '..'))
    throw controllerErrors.invalidRoute(
      `${JSON.stringify(text?.slice(0, 80))} is not a path prefix: use letters, digits and . _ ~ - like /api/v1`,
    );
  return path;
}

/** Names of Gantry's own routes stay Gantry's, with everything below them. */
export function refuseReserved(domain: string, ownDomain: string): void {
  const isOwn = domain === ownDomain || domain === `*.${ownDomain}`;
  const label = domain.endsWith(`.${ownDomain}`)
    ? domain
        .slice(0, -ownDomain.length - 1)
        .split('.')
        .at(-1)
    : undefined;
  if (isOwn || (label !== undefined && reservedNames.includes(label)))
    throw controllerErrors.nameReserved(
      `${domain} belongs to Gantry's own routes; choose another domain`,
    );
}

export interface PortRange {
  min: number;
  max: number;
  /** Ports in it that Gantry itself listens on. */
  taken: readonly number[];
}

export function refusePort(port: number, { min, max, taken }: PortRange): void {
  const free = `choose one from ${min} to ${max}`;
  if (taken.includes(port))
    throw controllerErrors.invalidRoute(
      `port ${port} cannot be a TCP route: Gantry itself listens there; ${free}`,
    );
  if (port < min || port > max)
    throw controllerErrors.invalidRoute(
      `port ${port} cannot be a TCP route: ${free}, or have the operator widen the range (GANTRY_TCP_PORT_MIN, GANTRY_TCP_PORT_MAX: docs/how-to/https-and-domains.md)`,
    );
}
