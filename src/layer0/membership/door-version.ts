// Which members understand each other? The peer door has a version; a machine speaks with those of its own, of the one before and
// of the next, so that a cluster is upgraded one machine after the other.

import type { HttpServer } from '#core/http-server';
import { membershipErrors } from './errors.ts';

/**
 * Goes up when a call between members is changed so that a machine of the version before cannot make or answer it. A new
 * route, and a new field that may be absent, change nothing: unknown fields are ignored.
 */
export const doorVersion = 1;
export const doorHeader = 'gantry-door';

/** Refuses calls of members that are more than one version away; others pass. */
export function registerDoorVersion(server: HttpServer, own = doorVersion): void {
  server.addHook('onRequest', async ({ headers }) => {
    const said = headers[doorHeader];
    // Calls over the machine's own socket say none.
    if (said !== undefined && !(Math.abs(Number(said) - own) <= 1))
      throw membershipErrors.doorVersion(
        `the caller speaks version ${said} of the peer door, and this machine ${own}: they may be one apart. Upgrade the older one first`,
      );
  });
}
