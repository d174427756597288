// The management API: every route, and the token that each but the health check needs.

import type { HttpServer } from '#core/http-server';
import { registerAppRoutes } from './http/app-routes.ts';
import { registerBackupRoutes } from './http/backup-routes.ts';
import { registerHaRoutes } from './http/ha-routes.ts';
import { registerHostRoutes } from './http/host-routes.ts';
import type { HttpDeps } from './http/http-deps.ts';
import { registerJobRoutes } from './http/job-routes.ts';
import { registerPlatformRoutes } from './http/platform-routes.ts';
import { registerReleaseRoutes } from './http/release-routes.ts';
import { requireToken } from './http/replies.ts';

export type { HttpDeps } from './http/http-deps.ts';

export function registerControllerRoutes(server: HttpServer, deps: HttpDeps): void {
  requireToken(server, deps, ['/healthz']);
  registerAppRoutes(server, deps);
  registerReleaseRoutes(server, deps);
  registerJobRoutes(server, deps);
  registerHaRoutes(server, deps);
  registerHostRoutes(server, deps);
  registerBackupRoutes(server, deps);
  registerPlatformRoutes(server, deps);
}
