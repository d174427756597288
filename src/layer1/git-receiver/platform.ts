// What the receiver asks of the controller: with the pusher's own token, and with the internal key for the list of apps.

import type { Readable } from 'node:stream';
import { createHttpClient } from '#core/http-client';
import { parser, type Static, Type } from '#core/schema';
import type { DiscoveryClient } from '#layer0/discovery/client';
import type { ProgressLine } from '#layer1/controller/wire';
import { gitErrors } from './errors.ts';

const appRefSchema = Type.Object({ id: Type.String(), name: Type.String() });
export type AppRef = Static<typeof appRefSchema>;
const appRef = parser(appRefSchema);
const appRefs = parser(Type.Object({ items: Type.Array(appRefSchema) }));

export interface Platform {
  /**
   * The app, if this token may see it; controller.unauthorized or controller.appNotFound otherwise. `from` is the
   * address of whoever sent the token: wrong ones count against it.
   */
  readApp(name: string, token: string, from?: string): Promise<AppRef>;
  listApps(): Promise<AppRef[]>;
  /** Builds and deploys a tar of source; the last value is a result or an error. */
  build(input: BuildCall): AsyncGenerator<ProgressLine>;
}

export interface BuildCall {
  app: string;
  token: string;
  commit: string;
  tar: Readable;
  signal: AbortSignal;
}

export interface PlatformOptions {
  /** Where the controller answers now; it moves when it is restarted. */
  controllerUrl(): string | Promise<string>;
  internalKey: string;
  /** Longest time until the controller has read the source and begins to answer. */
  buildTimeoutMs: number;
}

export function createPlatform(options: PlatformOptions): Platform {
  async function client(token: string, from?: string) {
    const baseUrl = await options.controllerUrl();
    const forwarded = from === undefined ? {} : { 'x-forwarded-for': from };
    return createHttpClient({
      baseUrl,
      headers: { authorization: `Bearer ${token}`, ...forwarded },
    });
  }
  async function read<T>(path: string, token: string, from?: string): Promise<T> {
    const http = await client(token, from);
    try {
      return await http.json<T>('GET', path);
    } finally {
      http.close();
    }
  }
  return {
    async readApp(name, token, from) {
      const app = await read(`/apps/${encodeURIComponent(name)}`, token, from);
      return appRef.parse(app, "the controller's answer about the app");
    },
    async listApps() {
      const apps = await read('/apps', options.internalKey);
      return appRefs.parse(apps, "the controller's list of apps").items;
    },
    async *build({ app, token, commit, tar, signal }) {
      const http = await client(token);
      try {
        yield* http.ndjson<ProgressLine>('POST', `/apps/${app}/builds`, {
          query: { commit },
          headers: { 'content-type': 'application/x-tar' },
          bodyStream: tar,
          timeoutMs: options.buildTimeoutMs,
          signal,
        });
      } finally {
        http.close();
      }
    },
  };
}

/**
 * Where the controller is, by discovery: the newest instance that takes calls, so that an upgrade is followed at once; on this
 * machine, if there is one.
 */
export function controllerUrlFrom(
  discovery: Pick<DiscoveryClient, 'instances'>,
  { service, here }: { service: string; here: string },
): string {
  const up = discovery.instances(service).filter(({ state }) => state === 'up');
  const newest = up.findLast(({ host }) => host === here) ?? up.at(-1);
  if (newest) return `http://${newest.address}:${newest.port}`;
  throw gitErrors.unavailable(
    'the controller is not running right now: nothing can be deployed; try again shortly',
  );
}
