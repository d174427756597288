// Under which domains is every name one of the router's? The platform's own, and those it was under before while an app has a
// route under them: containers must find there what the rest of the world finds.

import type { Route } from '#layer1/router/wire';

type SeenRoute = Pick<Route, 'domain' | 'isSystem'>;

/** Sorted. A route counts for the longest of the domains that it is under: one of them may lie below another. */
export function routerSuffixes(routes: readonly SeenRoute[], domain: string): string[] {
  const own = routes.flatMap((route) => (route.isSystem ? (parentOf(route.domain) ?? []) : []));
  const platforms = [...new Set([domain, ...own])].sort((a, b) => b.length - a.length);
  const used = routes
    .filter(({ isSystem }) => !isSystem)
    .flatMap((route) => platforms.find((platform) => isUnder(route.domain, platform)) ?? []);
  return [...new Set([domain, ...used])].sort();
}

/** API and git have a label of their own below the platform's domain. */
function parentOf(domain: string | undefined): string | undefined {
  return domain?.split('.').slice(1).join('.');
}

function isUnder(domain: string | undefined, platform: string): boolean {
  return domain === platform || domain?.endsWith(`.${platform}`) === true;
}
