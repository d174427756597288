// What this machine already routes, so that no app network takes an address away from the machine's owner.

import { readFile } from 'node:fs/promises';

/** Ranges with a route of their own, as CIDR; default routes and routes of our own devices are left out. */
export async function machineRoutes(ownPrefixes: readonly string[]): Promise<string[]> {
  return parseRoutes(await readFile('/proc/net/route', 'utf8'), ownPrefixes);
}

export function parseRoutes(table: string, ownPrefixes: readonly string[]): string[] {
  const routes: string[] = [];
  for (const line of table.split('\n').slice(1)) {
    const [device = '', destination = '', , , , , , mask = ''] = line.trim().split(/\s+/);
    const isOwn = ownPrefixes.some((prefix) => device.startsWith(prefix));
    if (!destination || isOwn || mask === '00000000') continue;
    routes.push(`${fromHex(destination)}/${prefixOf(mask)}`);
  }
  return routes;
}

/** The kernel prints addresses as little-endian hex. */
function fromHex(hex: string): string {
  return (hex.match(/../g) ?? [])
    .map((byte) => Number.parseInt(byte, 16))
    .reverse()
    .join('.');
}

function prefixOf(hexMask: string): number {
  const bits = Number.parseInt(hexMask, 16);
  let length = 0;
  for (let at = 0; at < 32; at++) length += (bits >>> at) & 1;
  return length;
}
