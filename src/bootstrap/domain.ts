// Where the platform answers. Under another domain than before API, git and every app answer there too; what they answered at
// before stays, so that remotes, bookmarks and webhooks go on working until people remove the old routes.

import type { Clock } from '#core/clock';
import { newId } from '#core/ids';
import type { Store } from '#layer0/store/client';
import type { Operation } from '#layer0/store/wire';
import { type App, appPrefix, type Release } from '#layer1/controller/wire';
import { type Route, routeClaimKey, routeKey, routePrefix } from '#layer1/router/wire';
import type { Machine } from './machine-file.ts';
import { systemAppId, systemAppName } from './system-app.ts';

/** The API and git, beside the apps. */
export function systemRoutes(machine: Machine, now: number): Route[] {
  const services = { api: 'controller', git: 'git-receiver' };
  const app = { id: systemAppId, name: systemAppName };
  return Object.entries(services).map(([label, type]) => ({
    ...routeTo(app, type, `${label}.${machine.domain}`, now),
    redirectsToHttps: machine.isTls,
    isSystem: true,
  }));
}

export function routeOperations(route: Route): Operation[] {
  return [
    { put: routeKey(route.id), value: route },
    { put: claimOf(route), value: { route: route.id } },
  ];
}

export interface SeenRoutes {
  routes: readonly Route[];
  apps: readonly App[];
  /** What the platform runs under now. */
  domain: string | undefined;
}

/**
 * Routes that are wanted and that nothing has the place of: the platform's own, and when the domain changes, the name below
 * it of every app that answers at its name below the old one.
 */
export function missingRoutes(
  { routes, apps, domain }: SeenRoutes,
  machine: Machine,
  now: number,
): Route[] {
  const whole = routes.filter(({ type, path }) => type === 'http' && path === undefined);
  const answersByName = ({ id, name }: App) =>
    whole.some((route) => route.app === id && route.domain === `${name}.${domain}`);
  const movers = domain === machine.domain ? [] : apps.filter(answersByName);
  const wanted = [
    ...systemRoutes(machine, now),
    ...movers
      .filter(({ isDeleting }) => !isDeleting)
      .map((app) => routeTo(app, 'web', `${app.name}.${machine.domain}`, now)),
  ];
  return wanted.filter((route) => !whole.some((other) => other.domain === route.domain));
}

/** Before the platform is moved: what it was under is then still known to a run that begins again. */
export async function ensureRoutes(
  { store, clock }: { store: Store; clock: Clock },
  release: Release | undefined,
  machine: Machine,
): Promise<void> {
  const routes = await store.list<Route>(routePrefix);
  const apps = await store.list<App>(appPrefix);
  const seen = {
    routes: routes.entries.map(({ value }) => value),
    apps: apps.entries.map(({ value }) => value),
    domain: domainOf(release),
  };
  for (const route of missingRoutes(seen, machine, clock.now())) {
    // Somebody who took it meanwhile keeps it.
    const compare = [{ key: claimOf(route), is: 'absent' as const }];
    await store.txn({ compare, operations: routeOperations(route) });
  }
}

function domainOf(release: Release | undefined): string | undefined {
  return Object.values(release?.systemSpecs ?? {})[0]?.env.GANTRY_DOMAIN;
}

function claimOf(route: Route): string {
  return routeClaimKey(`http/${route.domain}`);
}

function routeTo(app: Pick<App, 'id' | 'name'>, type: string, domain: string, now: number): Route {
  return {
    id: newId('rte'),
    app: app.id,
    appName: app.name,
    service: `${type}.${app.name}`,
    type: 'http',
    domain,
    sendsProxyProtocol: false,
    redirectsToHttps: false,
    isSystem: false,
    createdAt: now,
  };
}
