// What the router answers on loopback: is it alive, what does it see, how much of it is there.

import type { HttpServer } from '#core/http-server';
import { Type } from '#core/schema';

export interface RouterHttpDeps {
  status(): Record<string, unknown>;
}

export function registerRouterRoutes(server: HttpServer, deps: RouterHttpDeps): void {
  const tags = ['router'];
  server.get(
    '/healthz',
    { schema: { summary: 'Answers while the process runs, leading or not.', tags } },
    () => ({ ok: true }),
  );
  server.get(
    '/status',
    {
      schema: {
        summary: 'Who leads, which proxies are driven, and how large the table is.',
        tags,
        response: { 200: Type.Record(Type.String(), Type.Unknown()) },
      },
    },
    () => deps.status(),
  );
  server.get(
    '/metrics',
    { schema: { summary: 'Counters in the Prometheus text format.', tags } },
    (_request, reply) => reply.type('text/plain; version=0.0.4').send(metricsText(deps.status())),
  );
}

/** Every number and claim of the status as a gauge. */
export function metricsText(status: Record<string, unknown>): string {
  return Object.entries(status)
    .filter(([, value]) => typeof value === 'number' || typeof value === 'boolean')
    .map(([name, value]) => {
      const metric = `gantry_router_${name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)}`;
      return `# TYPE ${metric} gauge\n${metric} ${Number(value)}\n`;
    })
    .join('');
}
