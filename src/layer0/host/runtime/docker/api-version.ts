// Which version of the Engine API to speak: the newest that both sides know, never one the engine has dropped.

import { engineErrors } from '../errors.ts';

export interface ApiVersion {
  major: number;
  minor: number;
}

/** Oldest supported: Engine 20.10. */
export const oldestApi: ApiVersion = { major: 1, minor: 41 };
/** Newest whose changes this client was written for; newer engines still serve it. */
export const newestApi: ApiVersion = { major: 1, minor: 47 };
/** From here on the MAC address belongs to the endpoint, not to the container. */
export const macPerEndpointApi: ApiVersion = { major: 1, minor: 44 };

export function parseApiVersion(text: string): ApiVersion | undefined {
  const match = /^(\d+)\.(\d+)$/.exec(text);
  return match ? { major: Number(match[1]), minor: Number(match[2]) } : undefined;
}

export function formatApiVersion({ major, minor }: ApiVersion): string {
  return `${major}.${minor}`;
}

export function isAtLeast(version: ApiVersion, other: ApiVersion): boolean {
  return version.major !== other.major ? version.major > other.major : version.minor >= other.minor;
}

/** The version to speak with an engine that offers [`oldest`, `newest`]; engine.unsupported when there is none. */
export function negotiate(engine: { oldest: string; newest: string }): ApiVersion {
  const newest = parseApiVersion(engine.newest);
  const oldest = parseApiVersion(engine.oldest) ?? oldestApi;
  const range = `${formatApiVersion(oldestApi)} to ${formatApiVersion(newestApi)}`;
  if (!newest || !isAtLeast(newest, oldestApi))
    throw engineErrors.unsupported(
      `the container engine speaks API ${engine.newest}, Gantry speaks ${range}: upgrade the engine`,
    );
  if (!isAtLeast(newestApi, oldest))
    throw engineErrors.unsupported(
      `the container engine wants API ${engine.oldest} or newer, Gantry speaks ${range}: upgrade Gantry`,
    );
  return isAtLeast(newest, newestApi) ? newestApi : newest;
}
